import ArgumentParser
import OunceCompress
import OunceRuntime

/// Outputs that a model of explicit state gets back as inputs.
struct StateOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "An output that is the input IN of the next run: a state, zeros at first. May be given several times.",
            valueName: "IN=OUT"))
    var state: [String] = []

    func validate() throws {
        for pair in state where !pair.dropFirst().dropLast().contains("=") {
            throw ValidationError("--state takes IN=OUT, the names of an input and an output, not '\(pair)'")
        }
    }

    var pairs: [(input: String, output: String)] {
        state.compactMap { pair in
            pair.firstIndex(of: "=").map { (String(pair[..<$0]), String(pair[pair.index(after: $0)...])) }
        }
    }

    /// The model or artifact at `path` with these states.
    func load(_ path: String) throws -> LoadedModel { try LoadedModel(path: path, states: pairs) }
}

/// What every command that runs a model takes.
struct ModelOptions: ParsableArguments {
    @Option(help: "Device profile: a file, or the name of a shipped one; its SIMD, cores and memory limit the run.")
    var profile: String?

    @Option(help: "Threads; at most what the profile allows.")
    var threads: Int?

    @Flag(help: "Print JSON.")
    var json = false

    func validate() throws {
        if let threads, threads < 1 { throw ValidationError("--threads takes a number from 1") }
    }

    /// The runtime's options; one thread unless more are asked for.
    func runtimeOptions(defaultThreads: Int? = 1) throws -> RuntimeOptions {
        Device.options(try Device.profile(profile), threads: threads ?? defaultThreads)
    }
}
