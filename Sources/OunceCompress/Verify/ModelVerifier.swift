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
        Self.outcome { () throws -> String? in
            let sets = try FileManager.default.contentsOfDirectory(atPath: folder)
                .filter { $0.hasPrefix("test_data_set_") }
                .sorted { ($0.utf8.count, $0) < ($1.utf8.count, $1) }
            guard !sets.isEmpty else { return "there is no test_data_set_0" }
            for set in sets {
                let inputs = try Self.tensors("\(folder)/\(set)/input_")
                let outputs = try Self.tensors("\(folder)/\(set)/output_")
                guard !outputs.isEmpty else { return "\(set): there is no output_0.pb" }
                let difference = try difference(model: "\(folder)/model.onnx", .ordered(inputs), .ordered(outputs))
                if let difference { return sets.count > 1 ? "\(set): \(difference)" : difference }
            }
            return nil
        }
    }

    /// The tensors of `prefix0.pb`, `prefix1.pb`, …
    private static func tensors(_ prefix: String) throws(FormatError) -> [Tensor] {
        var tensors: [Tensor] = []
        while FileManager.default.fileExists(atPath: "\(prefix)\(tensors.count).pb") {
            tensors.append(try ONNXTensorFile.read(path: "\(prefix)\(tensors.count).pb"))
        }
        return tensors
    }

    /// A model or artifact with given inputs against all its outputs, or those that are named.
    ///
    /// Where the shapes of a model depend on the value of an input (as the target of a Reshape), that input is bound as a
    /// constant before the model is planned: there is no other way to plan it.
    package func verify(model path: String, inputs: VerifyTensors, expected: VerifyTensors) -> VerifyOutcome {
        Self.outcome { () throws -> String? in try difference(model: path, inputs, expected) }
    }

    private static func outcome(_ difference: () throws -> String?) -> VerifyOutcome {
        do {
            return try difference().map { .failed($0) } ?? .passed
        } catch let error as FormatError {
            return error.code == .unsupported ? .refused(error.message) : .failed(error.message)
        } catch let error as RuntimeError {
            return error.code == .unsupported ? .refused(error.message) : .failed(error.message)
        } catch { return .failed("\(error)") }
    }

    /// The first difference in words; nil where the model gives what is expected.
    private func difference(
        model path: String, _ inputs: VerifyTensors, _ expected: VerifyTensors
    ) throws -> String? {
        let (graph, tensors) = try load(path, inputs)
        let wanted = graph.clientInputs.map { graph[$0].name }
        guard tensors.count == wanted.count else {
            let missing = wanted.filter { inputs.tensor($0, at: nil) == nil }
            return "no tensor is given for the input \(missing.map { "'\($0)'" }.joined(separator: ", "))"
        }
        let names = graph.clientOutputs.map { graph[$0].name }
        let pairs: [(place: Int, tensor: Tensor)]
        switch expected {
        case .ordered(let list):
            guard list.count == names.count else {
                return "it gives \(names.count) outputs (\(names.joined(separator: ", "))), \(list.count) are expected"
            }
            pairs = list.enumerated().map { ($0, $1) }
        case .named(let list):
            if let stranger = list.first(where: { !names.contains($0.name) }) {
                return "it has no output '\(stranger.name)'; its outputs are \(names.joined(separator: ", "))"
            }
            pairs = names.enumerated().compactMap { place, name in
                list.first { $0.name == name }.map { (place, $0.tensor) }
            }
        }
        let model = try Model(graph: graph, options: options)
        guard let steps = VerifySteps(tensors, for: model) else {
            return difference(try model.run(tensors), pairs, names)
        }
        let stream = try model.makeStream()
        for step in 0..<steps.count {
            let results = try model.run(try steps.inputs(step), stream: stream)
            let expected = try pairs.map {
                ($0.place, try steps.slice(step, of: $0.tensor, like: model.outputs[$0.place]))
            }
            if let difference = difference(results, expected, names) { return "step \(step): \(difference)" }
        }
        return nil
    }

    private func difference(
        _ results: [Tensor], _ expected: [(place: Int, tensor: Tensor)], _ names: [String]
    ) -> String? {
        for (place, tensor) in expected where place < results.count {
            guard let difference = agreement.difference(results[place], tensor) else { continue }
            return "output \(names[place]): \(difference)"
        }
        return nil
    }

    /// The graph, simplified, and the tensors for the inputs that it still has.
    func load(_ path: String, _ tensors: VerifyTensors) throws -> (Graph, [Tensor]) {
        func given(_ graph: Graph, _ names: [String]) -> [Tensor] {
            graph.clientInputs.compactMap { id in
                tensors.tensor(graph[id].name, at: names.firstIndex(of: graph[id].name))
            }
        }
        guard path.hasSuffix(".onnx") else {
            let graph = try LoadedModel(path: path, given: InputBindings(states: states)).graph
            return (graph, given(graph, graph.clientInputs.map { graph[$0].name }))
        }
        let names = try ONNXImporter.inputNames(path: path)
        func tensor(_ name: String) -> Tensor? { tensors.tensor(name, at: names.firstIndex(of: name)) }
        var bindings = InputBindings()
        while true {
            do {
                var graph = try ONNXImporter.load(path: path, given: bindings)
                // What could only be planned with a batch of 1 may have been given another.
                let misfits = graph.inputs.map { graph[$0] }.filter { input in
                    tensor(input.name).map { !input.shape.admits($0.shape) } ?? false
                }
                if !misfits.isEmpty, states.isEmpty {
                    var wider = bindings
                    for input in misfits { wider.shapes[input.name] = tensor(input.name)?.shape }
                    if let whole = try? ONNXImporter.load(path: path, given: wider) { graph = whole }
                }
                graph = try graph.binding(states: states).simplified()
                return (graph, given(graph, names))
            } catch let error as FormatError {
                let missing = error.neededInputs.filter { bindings.values[$0] == nil && tensor($0) != nil }
                let open = error.openInputs.map(\.name).filter { bindings.shapes[$0] == nil && tensor($0) != nil }
                guard !missing.isEmpty || !open.isEmpty else { throw error }
                for name in missing { bindings.values[name] = tensor(name) }
                for name in open where !missing.contains(name) { bindings.shapes[name] = tensor(name)?.shape }
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
