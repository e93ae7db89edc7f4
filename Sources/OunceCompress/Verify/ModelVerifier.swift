import FoundationEssentials
import OunceFormats
import OunceGraph
import OunceRuntime

/// How one test of a model ended.
package enum VerifyOutcome: Sendable, Hashable {
    case passed
    /// With the first difference, or the error that stopped it.
    case failed(String)
    /// The model asks for what this version does not do; the reasons.
    case refused(String)
}

/// Runs models on given inputs and compares what they give with what is expected.
package struct ModelVerifier: Sendable {
    package var agreement = TensorAgreement()
    package var options: RuntimeOptions
    /// Inputs and outputs that are bound together as states.
    package var states: [(input: String, output: String)] = []

    package init(options: RuntimeOptions) { self.options = options }

    /// Folders at or below `root` that hold a `model.onnx`, sorted.
    ///
    /// - Throws: `.input` where `root` cannot be listed.
    package static func cases(below root: String) throws(CompressError) -> [String] {
        var (found, open): ([String], [(path: String, depth: Int)]) = ([], [(root, 0)])
        while let (path, depth) = open.popLast() {
            guard found.count < 100_000 else { throw CompressError(.input, "\(root): over 100000 test cases") }
            let names: [String]
            do {
                names = try FileManager.default.contentsOfDirectory(atPath: path)
            } catch { throw CompressError(.input, "\(path): cannot be listed; name a folder of test cases") }
            if names.contains("model.onnx") {
                found.append(path)
                continue
            }
            for name in names where !name.hasPrefix(".") && depth < 16 {
                let inner = "\(path)/\(name)"
                var isFolder = false
                if FileManager.default.fileExists(atPath: inner, isDirectory: &isFolder), isFolder {
                    open.append((inner, depth + 1))
                }
            }
        }
        return found.sorted()
    }

    /// A test case in ONNX's layout: `model.onnx`, `test_data_set_N/input_K.pb` and `output_K.pb`.
    package func verify(folder: String) -> VerifyOutcome {
        do {
            let sets = try FileManager.default.contentsOfDirectory(atPath: folder)
                .filter { $0.hasPrefix("test_data_set_") }.sorted()
            guard !sets.isEmpty else { return .failed("there is no test_data_set_0") }
            for set in sets {
                let inputs = try Self.tensors("\(folder)/\(set)/input_")
                let outputs = try Self.tensors("\(folder)/\(set)/output_")
                let outcome = verify(model: "\(folder)/model.onnx", inputs: inputs, expected: outputs)
                guard outcome == .passed else { return outcome }
            }
            return .passed
        } catch let error as FormatError {
            return error.code == .unsupported ? .refused(error.message) : .failed(error.message)
        } catch { return .failed("\(error)") }
    }

    /// The tensors of `prefix0.pb`, `prefix1.pb`, …
    private static func tensors(_ prefix: String) throws(FormatError) -> [Tensor] {
        var tensors: [Tensor] = []
        while FileManager.default.fileExists(atPath: "\(prefix)\(tensors.count).pb") {
            tensors.append(try ONNXTensorFile.read(path: "\(prefix)\(tensors.count).pb"))
        }
        return tensors
    }

    /// A model or artifact with the inputs and outputs that it declares, in order.
    ///
    /// Where the shapes of a model depend on the value of an input (as the target of a Reshape), that input is bound as a
    /// constant before the model is planned: there is no other way to plan it.
    package func verify(model path: String, inputs: [Tensor], expected: [Tensor]) -> VerifyOutcome {
        do {
            let (graph, tensors) = try load(path, inputs)
            let model = try Model(graph: graph, options: options)
            guard let steps = steps(of: tensors, for: model) else {
                return try compare(model.run(tensors), expected, of: model)
            }
            let stream = try model.makeStream()
            for step in 0..<steps {
                let outputs = try model.run(try Self.slices(step, of: tensors, like: model.inputs), stream: stream)
                let wanted = try Self.slices(step, of: expected, like: model.outputs)
                guard case .failed(let reason) = compare(outputs, wanted, of: model) else { continue }
                return .failed("step \(step): \(reason)")
            }
            return .passed
        } catch let error as FormatError {
            return error.code == .unsupported ? .refused(error.message) : .failed(error.message)
        } catch let error as RuntimeError {
            return error.code == .unsupported ? .refused(error.message) : .failed(error.message)
        } catch { return .failed("\(error)") }
    }

    private func compare(_ results: [Tensor], _ expected: [Tensor], of model: Model) -> VerifyOutcome {
        guard results.count >= expected.count else {
            return .failed("it gives \(results.count) outputs, \(expected.count) are expected")
        }
        for (index, pair) in zip(results, expected).enumerated() {
            guard let difference = agreement.difference(pair.0, pair.1) else { continue }
            return .failed("output \(model.outputs[index].name): \(difference)")
        }
        return .passed
    }

    /// The steps of inputs that have an axis more than a model with states takes; nil: they are one step.
    private func steps(of tensors: [Tensor], for model: Model) -> Int? {
        guard !model.states.isEmpty, let first = tensors.first, !tensors.isEmpty, tensors.count == model.inputs.count,
            zip(tensors, model.inputs).allSatisfy({
                $0.shape.rank == $1.shape.rank + 1 && $0.shape[0] == first.shape[0]
            })
        else { return nil }
        return first.shape[0]
    }

    /// Row `index` of each tensor.
    private static func slices(
        _ index: Int, of tensors: [Tensor], like infos: [TensorInfo]
    ) throws(CompressError) -> [Tensor] {
        var slices: [Tensor] = []
        for (tensor, info) in zip(tensors, infos) {
            guard tensor.shape.rank == info.shape.rank + 1, index < tensor.shape[0] else {
                throw CompressError(
                    .data, "the array for \(info.name) is \(tensor.shape), which has no step \(index) of \(info.shape)")
            }
            let size = tensor.byteCount / tensor.shape[0]
            let storage = TensorStorage(byteCount: size) {
                $0.copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: tensor.bytes[(index * size)..<((index + 1) * size)]))
            }
            let shape = Shape(Array(tensor.shape.dims.dropFirst()))
            if let slice = Tensor(dtype: tensor.dtype, shape: shape, storage: storage) { slices.append(slice) }
        }
        return slices
    }

    /// The graph, simplified, and the tensors for the inputs that it still has.
    package func load(_ path: String, _ tensors: [Tensor]) throws -> (Graph, [Tensor]) {
        guard path.hasSuffix(".onnx") else {
            return (try LoadedModel(path: path, given: InputBindings(states: states)).graph, tensors)
        }
        let bytes = try ModelFile.bytes(path: path)
        let names = try ONNXImporter.inputNames(bytes: bytes)
        let given = Dictionary(zip(names, tensors)) { first, _ in first }
        var bindings = InputBindings()
        while true {
            do {
                let graph = try ONNXImporter.parse(bytes: bytes, given: bindings).binding(states: states).simplified()
                return (graph, graph.clientInputs.compactMap { given[graph[$0].name] })
            } catch let error as FormatError {
                let missing = error.neededInputs.filter { bindings.values[$0] == nil && given[$0] != nil }
                let open = error.openInputs.filter { given[$0.name] != nil && bindings.shapes[$0.name] == nil }
                guard !missing.isEmpty || !open.isEmpty else { throw error }
                for name in missing { bindings.values[name] = given[name] }
                for input in open where !missing.contains(input.name) {
                    bindings.shapes[input.name] = given[input.name]?.shape
                }
            }
        }
    }
}
