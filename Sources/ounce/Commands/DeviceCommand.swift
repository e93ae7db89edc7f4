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
        var memory_bytes: Int
        var instruction_sets: [String]
        var profile: String
        var threads: Int
        var memory_limit_bytes: Int
        var allowed_instruction_sets: [String]
        var simd_width: Int
        var watts: Double?
    }

    func run() throws {
        try Failure.reporting {
            let profile = try Device.profile(profile)
            let options = Device.options(profile, threads: nil)
            let allowed = try InstructionSets.permitted(allowed: options.allowedISAs)
            let result = Result(
                cpu: Device.probe.cpuModel, cores: Device.probe.onlineCores, memory_bytes: Device.probe.memoryBytes,
                instruction_sets: InstructionSets.available.names, profile: profile.name, threads: options.threads,
                memory_limit_bytes: options.memoryLimit ?? Device.probe.memoryBytes,
                allowed_instruction_sets: allowed.names, simd_width: allowed.width,
                watts: profile.watts(threads: options.threads))
            json ? try JSONOutput.write(result) : write(result)
        }
    }

    private func write(_ result: Result) {
        print("device   \(result.cpu), \(result.cores) cores, \(Text.bytes(result.memory_bytes)) of memory")
        print("SIMD     \(result.instruction_sets.joined(separator: ", "))")
        print(
            "profile  \(result.profile): \(result.threads) threads, \(Text.bytes(result.memory_limit_bytes)), "
                + "\(result.simd_width)-bit vectors (\(result.allowed_instruction_sets.joined(separator: ", ")))"
                + (result.watts.map { ", an estimated \(Text.number($0, 1)) W" } ?? ""))
    }
}
