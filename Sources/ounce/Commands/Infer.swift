import ArgumentParser
import OunceCompress
import OunceFormats
import OunceGraph
import OunceRuntime
import OunceSystem

struct Infer: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "infer",
        abstract: "Runs a model or artifact over samples and writes its outputs.",
        discussion: """
            A model that keeps states between runs starts anew with each sample. A sample may be a sequence: an array \
            [samples, steps, …] is run step by step, and the output is [samples, steps, …] too. With --stream nothing \
            starts anew: the rows are consecutive steps of one stream.
            """)

    @Argument(help: "A model (.onnx, .tflite) or an artifact (.ounce).")
    var file: String
    @Option(help: "Samples: .npy, or .npz with arrays named by input; the first axis is the samples.")
    var input: String
    @Option(help: "Where the first output goes as .npy, or all outputs by name as .npz.")
    var output: String
    @Flag(help: "The samples are consecutive steps of one stream: states are carried from each to the next.")
    var stream = false
    @OptionGroup var options: ModelOptions

    struct Result: Encodable {
        struct Output: Encodable {
            var name: String
            var datatype: String
            var shape: [Int]
        }
        var samples: Int
        var outputs: [Output]
        var output: String
    }

    func run() throws {
        try Failure.reporting {
            let model = try options.inputs.load(file, data: input).model(try options.runtimeOptions())
            guard !stream || !model.states.isEmpty else {
                throw ValidationError(
                    "--stream: \(model.name) keeps nothing between runs; bind an output to an input with --state IN=OUT"
                )
            }
            let dataset = try Dataset(path: input, inputs: model.inputs)
            let run = try SampleRun(model, over: dataset, isOneStream: stream)
            var collected = [[UInt8]](repeating: [], count: model.outputs.count)
            var types: [TensorType] = []
            for index in 0..<dataset.count * dataset.windows {
                let results = try run(index / dataset.windows, window: index % dataset.windows)
                types = results.map { TensorType($0.dtype, $0.shape) }
                for (place, result) in results.enumerated() { collected[place].append(contentsOf: result.bytes) }
            }
            var tensors: [(name: String, tensor: Tensor)] = []
            for (place, info) in model.outputs.enumerated() {
                // The samples become the first axis; an output's own batch axis of 1 gives way to it.
                let own = types[place].shape.dims
                let samples = dataset.windows > 1 ? [dataset.count, dataset.windows] : [dataset.count]
                let shape = Shape(samples + (own.first == 1 ? own.dropFirst() : own[...]))
                let storage = collected[place].withUnsafeBytes { bytes in
                    TensorStorage(byteCount: bytes.count) { $0.copyMemory(from: bytes) }
                }
                guard let tensor = Tensor(dtype: types[place].dtype, shape: shape, storage: storage) else {
                    throw CompressError(.data, "the outputs of \(info.name) differ in shape from sample to sample")
                }
                tensors.append((info.name, tensor))
            }
            if output.hasSuffix(".npz") {
                try AtomicFile.write(try NumPyArchive.serialize(tensors), to: output)
            } else if let first = tensors.first {
                try AtomicFile.write(NumPyFile.serialize(first.tensor), to: output)
            }
            let written = output.hasSuffix(".npz") ? tensors : Array(tensors.prefix(1))
            let result = Result(
                samples: dataset.count,
                outputs: written.map {
                    .init(name: $0.name, datatype: $0.tensor.dtype.name, shape: $0.tensor.shape.dims)
                },
                output: output)
            if options.json {
                try JSONOutput.write(result)
            } else {
                for entry in written {
                    print("\(entry.name) \(entry.tensor.dtype.name) \(entry.tensor.shape) -> \(output)")
                }
            }
        }
    }
}
