import ArgumentParser
import OunceCompress
import OunceRuntime

/// What every command that runs a model takes.
struct ModelOptions: ParsableArguments {
    @Option(help: "Device profile: a file, or the name of a shipped one; its SIMD, cores and memory limit the run.")
    var profile: String?

    @Option(help: "Threads; at most what the profile allows.")
    var threads: Int?

    @Option(help: "Most seconds to try kernels for each step; 0: take the first of the table.")
    var tune: Double = 1

    @Flag(help: "Print JSON.")
    var json = false

    func validate() throws {
        guard tune >= 0, tune <= 3600 else { throw ValidationError("--tune takes a number of seconds up to 3600") }
        if let threads, threads < 1 { throw ValidationError("--threads takes a number from 1") }
    }

    /// The runtime's options; one thread unless more are asked for.
    func runtimeOptions(defaultThreads: Int? = 1) throws -> RuntimeOptions {
        Device.options(try Device.profile(profile), threads: threads ?? defaultThreads, tuning: tune)
    }
}
