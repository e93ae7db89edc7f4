import ArgumentParser
import FoundationEssentials
import Glibc
import OunceCompress
import OunceFormats
import OunceGraph
import OunceRuntime
import OunceSystem

/// One engine of a comparison: loads a model, says what that took, then runs it for as long as each line on stdin says.
///
/// The first line of output holds milliseconds of loading and of the first run, resident memory in KiB before loading and at its
/// peak, the largest error relative to the largest number of the reference, and the kernels with how many steps each runs.
/// Each further line holds the nanoseconds of each run and the CPU nanoseconds per run.
enum BenchWorker {
    private struct Loaded: Encodable {
        var importMs: Double
        var loadMs: Double
        var firstMs: Double
        var importRssKib: Int
        var peakRssKib: Int
        var error: Double
        var amxRequested: Bool
        var kernels: [String: Int]
    }

    private static let mostRuns = 1000

    static func serve(_ file: String, input: String?, reference: String?, _ options: ModelOptions) throws {
        let x = try input.map { try NumPyFile.read(path: $0) }
        let runtime = try options.runtimeOptions()
        let started = cpuSeconds()
        let before = MemoryProbe.residentKiB
        let begin = Model.now()
        let model = try options.inputs.load(file).model(runtime)
        let loaded = Model.now()
        let inputs = x.map { [$0] } ?? SyntheticInput.sample(for: model.inputs, seed: 1)
        let results = try model.run(inputs)
        let ran = Model.now()
        let peak = MemoryProbe.peakResidentKiB
        var error = 0.0
        if let reference, let result = results.first {
            error = try relativeError(of: result, to: try NumPyFile.read(path: reference))
        }
        try write(
            Loaded(
                importMs: started * 1e3, loadMs: (loaded - begin) * 1e3, firstMs: (ran - loaded) * 1e3,
                importRssKib: before, peakRssKib: peak, error: error,
                amxRequested: model.instructionSets.contains("amx"),
                kernels: Dictionary(model.kernelNames.map { ($0, 1) }, uniquingKeysWith: +)))
        while let line = readLine() {
            guard let seconds = Double(line), seconds > 0, seconds <= 3600 else {
                throw ValidationError("a line on stdin holds seconds, not '\(line.prefix(40))'")
            }
            let cpu = cpuSeconds()
            let samples = try model.timeRuns(inputs: inputs, seconds: seconds, runs: 2...mostRuns)
            let perRun = (cpuSeconds() - cpu) / Double(samples.count + 1)
            print("[[\(samples.map { "\(Int($0 * 1e9))" }.joined(separator: ", "))], \(perRun * 1e9)]")
            fflush(nil)
        }
    }

    private static func write(_ loaded: Loaded) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        encoder.keyEncodingStrategy = .convertToSnakeCase
        print(String(decoding: try encoder.encode(loaded), as: UTF8.self))
        fflush(nil)
    }

    /// CPU seconds that this process has taken.
    private static func cpuSeconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    /// The largest difference over the largest number of the reference.
    private static func relativeError(of result: Tensor, to reference: Tensor) throws -> Double {
        guard result.dtype == .float32, reference.dtype == .float32,
            result.shape.elementCount == reference.shape.elementCount
        else {
            throw ValidationError(
                "the reference is \(reference.dtype) \(reference.shape), the output \(result.dtype) \(result.shape)")
        }
        let (a, b) = (result.bytes.bindMemory(to: Float.self), reference.bytes.bindMemory(to: Float.self))
        let largest = b.reduce(Float.leastNormalMagnitude) { max($0, abs($1)) }
        return Double(zip(a, b).reduce(Float(0)) { max($0, abs($1.0 - $1.1)) } / largest)
    }
}
