import OunceGraph

/// The operators that a model defines itself. Source: ONNX IR specification, "Functions".
struct ONNXFunctions {
    private struct Key: Hashable {
        var domain: String
        var name: String
        var overload: String
    }

    /// Nodes that all calls together may become.
    private static let maximumNodes = 2 * GraphBuilder.maximumNodes

    private var functions: [Key: ONNXFunctionProto] = [:]
    /// Those whose bodies are being translated, outermost first.
    private var open: [Key] = []
    private var prefixes: Set<String> = []
    private var nodeCount = 0

    init(_ functions: [ONNXFunctionProto]) throws(FormatError) {
        for function in functions {
            let key = Key(domain: function.domain, name: function.name, overload: function.overload)
            guard self.functions.updateValue(function, forKey: key) == nil else {
                throw FormatError(.corrupt, "the function '\(function.domain).\(function.name)' is defined twice")
            }
        }
    }

    func contains(_ node: ONNXNodeProto) -> Bool { functions[Self.key(node)] != nil }

    private static func key(_ node: ONNXNodeProto) -> Key {
        Key(domain: node.domain, name: node.opType, overload: node.overload)
    }

    /// The nodes that the call stands for, with names that nothing else has, and the opset they are of where the function
    /// states one. `leave` must follow once they are translated.
    mutating func enter(_ call: ONNXNode) throws(ImportFailure) -> (nodes: [ONNXNodeProto], opset: Int?) {
        let key = Self.key(call.proto)
        guard let function = functions[key] else { throw .corrupt("the function is not defined") }
        guard !open.contains(key) else { throw .corrupt("the function '\(call.op)' calls itself") }
        nodeCount += function.node.count + function.output.count
        guard nodeCount <= Self.maximumNodes else {
            throw .fatal(FormatError(.limit, "the model's functions unfold into over \(Self.maximumNodes) nodes"))
        }
        guard call.proto.input.count <= function.input.count, call.proto.output.count <= function.output.count else {
            throw .corrupt(
                "the function '\(call.op)' has \(function.input.count) inputs and \(function.output.count) outputs, "
                    + "\(call.proto.input.count) and \(call.proto.output.count) are given")
        }
        open.append(key)
        let body = FunctionBody(prefix: prefix(call.name), call: call.proto, function: function)
        let version = function.opsetImport.first { $0.domain.isEmpty || $0.domain == "ai.onnx" }?.version
        return (body.nodes(of: function, call: call.proto), version.flatMap { Int(exactly: $0) })
    }

    mutating func leave() { open.removeLast() }

    private mutating func prefix(_ name: String) -> String {
        var (prefix, number) = ("\(name)/", 1)
        while !prefixes.insert(prefix).inserted {
            number += 1
            prefix = "\(name)_\(number)/"
        }
        return prefix
    }
}

/// Puts a call's values in place of a function's parameters.
private struct FunctionBody {
    let prefix: String
    /// What stands for the function's inputs and outputs; an input that is not given is "".
    private var names: [String: String] = [:]
    private var attributes: [String: ONNXAttributeProto] = [:]

    init(prefix: String, call: ONNXNodeProto, function: ONNXFunctionProto) {
        self.prefix = prefix
        for (index, name) in function.output.enumerated() where index < call.output.count && !call.output[index].isEmpty
        {
            names[name] = call.output[index]
        }
        for (index, name) in function.input.enumerated() {
            names[name] = index < call.input.count ? call.input[index] : ""
        }
        for attribute in function.attributeProto + call.attribute { attributes[attribute.name] = attribute }
    }

    func nodes(of function: ONNXFunctionProto, call: ONNXNodeProto) -> [ONNXNodeProto] {
        var nodes = function.node.map(filled)
        // An output that is an input as well is made by no node of the function.
        for (name, output) in zip(function.output, call.output) where function.input.contains(name) && !output.isEmpty {
            var identity = ONNXNodeProto()
            identity.opType = "Identity"
            identity.input = [renamed(name)]
            identity.output = [output]
            nodes.append(identity)
        }
        return nodes
    }

    private func renamed(_ name: String) -> String { name.isEmpty ? "" : names[name] ?? prefix + name }

    private func filled(_ node: ONNXNodeProto) -> ONNXNodeProto {
        var node = node
        node.name = prefix + (node.name.isEmpty ? node.output.first ?? "" : node.name)
        node.input = node.input.map(renamed)
        node.output = node.output.map(renamed)
        node.attribute = node.attribute.compactMap { attribute in
            guard !attribute.refAttrName.isEmpty else { return filled(attribute) }
            var value = attributes[attribute.refAttrName]
            value?.name = attribute.name
            return value
        }
        return node
    }

    private func filled(_ attribute: ONNXAttributeProto) -> ONNXAttributeProto {
        guard !attribute.graphs.isEmpty else { return attribute }
        var attribute = attribute
        attribute.graphs = attribute.graphs.map { graph in
            var graph = graph
            graph.node = graph.node.map(filled)
            for index in graph.initializer.indices {
                graph.initializer[index].name = renamed(graph.initializer[index].name)
            }
            for index in graph.input.indices { graph.input[index].name = renamed(graph.input[index].name) }
            for index in graph.output.indices { graph.output[index].name = renamed(graph.output[index].name) }
            return graph
        }
        return attribute
    }
}
