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
            let results = try Model(graph: graph, options: options).run(tensors)
            guard results.count >= expected.count else {
                return .failed("it gives \(results.count) outputs, \(expected.count) are expected")
            }
            for (index, pair) in zip(results, expected).enumerated() {
                guard let difference = agreement.difference(pair.0, pair.1) else { continue }
                return .failed("output \(graph[graph.outputs[index]].name): \(difference)")
            }
            return .passed
        } catch let error as FormatError {
            return error.code == .unsupported ? .refused(error.message) : .failed(error.message)
        } catch let error as RuntimeError {
            return error.code == .unsupported ? .refused(error.message) : .failed(error.message)
        } catch { return .failed("\(error)") }
    }

    /// The graph, simplified, and the tensors for the inputs that it still has.
    package func load(_ path: String, _ tensors: [Tensor]) throws -> (Graph, [Tensor]) {
        guard path.hasSuffix(".onnx") else { return (try LoadedModel(path: path).graph, tensors) }
        let names = try ONNXImporter.inputNames(path: path)
        let given = Dictionary(zip(names, tensors)) { first, _ in first }
        var bindings = InputBindings()
        while true {
            do {
                let graph = try ONNXImporter.load(path: path, given: bindings).simplified()
                // What could only be planned with a batch of 1 may have been given others.
                let misfits = graph.inputs.map { graph[$0] }.filter { input in
                    bindings.shapes[input.name] == nil
                        && given[input.name].map { !input.shape.admits($0.shape) } ?? false
                }
                if !misfits.isEmpty {
                    for input in misfits { bindings.shapes[input.name] = given[input.name]?.shape }
                    continue
                }
                return (graph, graph.inputs.compactMap { given[graph[$0].name] })
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

extension Shape {
    /// Whether `other` has these extents where they are known.
    fileprivate func admits(_ other: Shape) -> Bool {
        rank == other.rank && zip(dims, other.dims).allSatisfy { $0 < 0 || $0 == $1 }
    }
}
