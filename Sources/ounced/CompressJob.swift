import Glibc
import OunceConfig
import OunceService
import OunceSystem

/// Has `ounce compress` make one artifact in a child process with limits of its own.
struct CompressJob: Sendable {
    static let niceness: Int32 = 10

    let plan: ModelPlan
    let profile: DeviceProfile
    /// In bytes; nil: none.
    let memoryLimit: Int?
    let timeout: Duration?
    let cache: ArtifactCache

    enum Outcome { case finished, cancelled, failed(String) }

    /// - Parameter onProgress: gets each line that the child says.
    func run(cancellation: ChildProcess.Cancellation, onProgress: (String) -> Void) -> Outcome {
        guard let program = LogDestination.variable("OUNCE_BINARY") ?? InstalledFiles.program("ounce") else {
            return .failed("the program 'ounce' is neither beside ounced nor in PATH; install it, or set OUNCE_BINARY")
        }
        do throws(SystemError) {
            let folder = try cache.workFolder(plan.key)
            defer { cache.removeWorkFolder(folder) }
            var child = ChildProcess(executable: program, arguments: try arguments(folder))
            child.memoryLimit = memoryLimit
            child.niceness = Self.niceness
            child.timeout = timeout
            var lastError: [String] = []
            let ending = try child.run(cancellation: cancellation) { stream, line in
                if stream == .error { lastError = Array((lastError + [line]).suffix(8)) }
                onProgress(line)
            }
            return outcome(ending, lastError)
        } catch {
            return .failed(error.message)
        }
    }

    private func outcome(_ ending: ChildProcess.Ending, _ said: [String]) -> Outcome {
        let tail = said.isEmpty ? "it said nothing" : said.joined(separator: "\n")
        switch ending {
        case .exited(0):
            return cache.exists(plan.key) ? .finished : .failed("ounce compress ended well but left no artifact")
        // The dynamic linker's status where it has not the memory to load a program.
        case .exited(127): return .failed("ounce compress could not be loaded\(memoryHint): \(tail)")
        case .exited(let status): return .failed("ounce compress ended with status \(status): \(tail)")
        case .signalled(let signal):
            return .failed("ounce compress was ended by signal \(signal)\(memoryHint): \(tail)")
        case .timedOut:
            return .failed("ounce compress took longer than \(timeout ?? .zero); raise 'timeout' in 'compress'")
        case .cancelled: return .cancelled
        }
    }

    private var memoryHint: String {
        guard let memoryLimit else { return ", perhaps for lack of memory" }
        let size = memoryLimit >= 1 << 20 ? "\(memoryLimit >> 20) MiB" : "\(memoryLimit >> 10) KiB"
        return ", perhaps because it may use \(size) of memory only; raise 'memory' in 'compress'"
    }

    private func arguments(_ folder: String) throws(SystemError) -> [String] {
        guard case .source(let source) = plan.settings.origin else {
            throw SystemError(.spawn, "'\(plan.name)' is a ready artifact")
        }
        let settings = plan.settings
        try write(ConfigSnapshot.yaml(profile), to: folder + "/profile.yaml")
        var arguments = ["compress", source, "--profile", folder + "/profile.yaml"]
        switch plan.recipe {
        case .fixed(let recipe):
            try write(ConfigSnapshot.yaml(recipe), to: folder + "/recipe.yaml")
            arguments += ["--recipe", folder + "/recipe.yaml"]
        case .auto(let recipes):
            for (index, recipe) in recipes.enumerated() {
                let number = String(1000 + index).dropFirst()
                try write(ConfigSnapshot.yaml(recipe), to: "\(folder)/recipes/\(number).yaml")
            }
            arguments += ["--recipe", "auto", "--recipes", folder + "/recipes"]
        case nil: break
        }
        func option(_ name: String, _ value: String?) { if let value { arguments += [name, value] } }
        for (name, dims) in settings.shapes.sorted(by: { $0.key < $1.key }) {
            let extents = dims.map { $0 < 0 ? "?" : String($0) }.joined(separator: ",")
            option("--shape", "\(name)=\(extents)")
        }
        for (name, number) in settings.values.sorted(by: { $0.key < $1.key }) { option("--value", "\(name)=\(number)") }
        option("--calibration", settings.calibration)
        option("--data", settings.training)
        option("--validation", settings.validation)
        option("--metric", settings.accuracy?.metric.rawValue)
        option("--max-drop", settings.accuracy?.maxDrop.map { "\($0)" })
        option("--floor", settings.accuracy?.floor.map { "\($0)" })
        option(
            "--latency",
            settings.latencyP99.map {
                "\(Double($0.components.seconds) * 1000 + Double($0.components.attoseconds) / 1e15)"
            })
        for (input, output) in settings.states.sorted(by: { $0.key < $1.key }) {
            option("--state", "\(input)=\(output)")
        }
        option("--threads", String(plan.identity.threads))
        option("--output", plan.artifact)
        return arguments
    }

    private func write(_ text: String, to path: String) throws(SystemError) {
        try AtomicFile.write(Array(text.utf8), to: path, mode: 0o600)
    }
}
