import ArgumentParser
import OunceCompress
import OunceFormats
import OunceGraph
import OunceRuntime

/// What every command that reads a model takes.
struct InputOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Extents of an input that the model leaves open; ? keeps one open.", valueName: "name=1,3,224,224"))
    var shape: [String] = []

    @Option(
        help: ArgumentHelp("An input that gets this number and then is no input any more.", valueName: "name=number"))
    var value: [String] = []

    @Option(
        help: ArgumentHelp(
            "An output that is this input of the next run: a state, zeros at first.", valueName: "in=out"))
    var state: [String] = []

    /// The model or artifact at `path` with its inputs and states bound.
    ///
    /// - Parameter data: samples that tell extents which the model leaves open.
    func load(_ path: String, data: String? = nil) throws -> LoadedModel {
        try LoadedModel(path: path, given: try bindings(), data: data)
    }

    func bindings() throws -> InputBindings {
        var bindings = InputBindings()
        for text in state {
            let (input, output) = try Self.split(text, "--state \(text): write it as h=h_next")
            bindings.states.append((input, output))
        }
        for text in shape {
            let (name, list) = try Self.split(text, "--shape \(text): write it as images=1,3,224,224")
            let dims = list.split(separator: ",", omittingEmptySubsequences: false).map {
                $0 == "?" ? -1 : Int($0) ?? 0
            }
            guard dims.count <= 8, dims.allSatisfy({ $0 == -1 || (1...1 << 30).contains($0) }) else {
                throw ValidationError("--shape \(text): extents are numbers from 1, or ?")
            }
            bindings.shapes[name] = Shape(dims)
        }
        for text in value {
            let (name, number) = try Self.split(text, "--value \(text): write it as rate=16000")
            guard let number = Double(number), number.isFinite else {
                throw ValidationError("--value \(text): '\(number)' is no number")
            }
            bindings.values[name] = Tensor([number])
        }
        return bindings
    }

    private static func split(_ text: String, _ usage: String) throws -> (String, String) {
        guard let mark = text.lastIndex(of: "="), mark != text.startIndex else { throw ValidationError(usage) }
        return (String(text[..<mark]), String(text[text.index(after: mark)...]))
    }
}

/// What every command that runs a model takes.
struct ModelOptions: ParsableArguments {
    @OptionGroup var inputs: InputOptions

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
