import ArgumentParser
import OunceCompress
import OunceConfig
import OunceRuntime

struct DeviceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "device", abstract: "Shows what Ounce finds on this machine, and what a profile leaves of it.")

    @Option(help: "Device profile: a file, or the name of a shipped one.")
    var profile: String = "auto"
    @Flag(help: "Print JSON.")
    var json = false

    struct Result: Encodable {
        var cpu: String
        var cores: Int
        var memoryBytes: Int
        var instructionSets: [String]
        var profile: String
        var threads: Int
        var memoryLimitBytes: Int
        var allowedInstructionSets: [String]
        var simdWidth: Int
        var watts: Double?
    }

    func run() throws {
        try Failure.reporting {
            let profile = try Device.profile(profile)
            let options = Device.options(profile, threads: nil)
            let allowed = try InstructionSets.permitted(allowed: options.allowedISAs)
            let result = Result(
                cpu: Device.probe.cpuModel, cores: Device.probe.onlineCores, memoryBytes: Device.probe.memoryBytes,
                instructionSets: InstructionSets.available.names, profile: profile.name, threads: options.threads,
                memoryLimitBytes: options.memoryLimit ?? Device.probe.memoryBytes,
                allowedInstructionSets: allowed.names, simdWidth: allowed.width,
                watts: profile.watts(threads: options.threads))
            json ? try JSONOutput.write(result) : write(result)
        }
    }

    private func write(_ result: Result) {
        print("device   \(result.cpu), \(result.cores) cores, \(Text.bytes(result.memoryBytes)) of memory")
        print("SIMD     \(result.instructionSets.joined(separator: ", "))")
        print(
            "profile  \(result.profile): \(result.threads) threads, \(Text.bytes(result.memoryLimitBytes)), "
                + "\(result.simdWidth)-bit vectors (\(result.allowedInstructionSets.joined(separator: ", ")))"
                + (result.watts.map { ", an estimated \(Text.number($0, 1)) W" } ?? ""))
    }
}
