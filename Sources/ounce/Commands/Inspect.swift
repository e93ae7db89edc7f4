import ArgumentParser
import OunceCompress
import OunceGraph
import OunceRuntime

struct Inspect: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Shows the layers of a model or artifact: shapes, parameters, MACs, bytes.")

    @Argument(help: "A model (.onnx, .tflite) or an artifact (.ounce).")
    var file: String
    @OptionGroup var inputs: InputOptions
    @Flag(help: "Print JSON.")
    var json = false

    struct Layer: Encodable {
        var name: String
        var op: String
        var dtype: String
        var output: [Int]
        var parameters: Int
        var macs: Int
        var bytes: Int
    }

    struct Endpoint: Encodable {
        var name: String
        var datatype: String
        var shape: [Int]
        /// What the axes that vary are called; "" for others.
        var axes: [String]?
    }

    struct Result: Encodable {
        var name: String
        var inputs: [Endpoint]
        var outputs: [Endpoint]
        var states: [Endpoint]
        var layers: [Layer]
        var parameters: Int
        var macs: Int
        var bytes: Int
        var provenance: Provenance?
        var report: Report?
    }

    func run() throws {
        try Failure.reporting {
            let loaded = try inputs.load(file)
            let graph = loaded.graph
            let bound = (try? graph.bound(to: [:])) ?? graph
            let layers = bound.nodes.map { node -> Layer in
                let constants = node.inputs.compactMap { $0 }.compactMap { graph[$0].constant }
                let output = bound[node.outputs[0]]
                return Layer(
                    name: node.name, op: node.op.name, dtype: output.dtype.name, output: output.shape.dims,
                    parameters: constants.reduce(0) { $0 + $1.count }, macs: bound.macs(of: node),
                    bytes: constants.reduce(0) { $0 + $1.byteCount })
            }
            func endpoint(_ id: ValueID) -> Endpoint {
                let value = graph[id]
                return Endpoint(
                    name: value.name, datatype: value.dtype.name, shape: value.shape.dims,
                    axes: value.axisNames.contains { !$0.isEmpty } ? value.axisNames : nil)
            }
            let description = try loaded.artifact?.description
            let result = Result(
                name: graph.name, inputs: graph.clientInputs.map(endpoint),
                outputs: graph.clientOutputs.map(endpoint), states: graph.states.map { endpoint($0.start) },
                layers: layers, parameters: layers.reduce(0) { $0 + $1.parameters },
                macs: layers.reduce(0) { $0 + $1.macs }, bytes: layers.reduce(0) { $0 + $1.bytes },
                provenance: description?.provenance, report: description?.report)
            json ? try JSONOutput.write(result) : write(result, graph, fileBytes: loaded.byteCount)
        }
    }

    private func write(_ result: Result, _ graph: Graph, fileBytes: Int) {
        print("\(result.name): \(Text.bytes(fileBytes)) on disk")
        func describe(_ id: ValueID) -> String { "\(graph[id].name)  \(graph[id].dtype.name) \(graph[id].shapeText)" }
        for input in graph.clientInputs { print("input   \(describe(input))") }
        for output in graph.clientOutputs { print("output  \(describe(output))") }
        for state in graph.states { print("state   \(describe(state.start))") }
        if let provenance = result.provenance {
            print(
                "made by Ounce \(provenance.ounceVersion) from \(provenance.modelName) (\(provenance.modelHash.prefix(12))) "
                    + "with recipe \(provenance.recipeName) for \(provenance.profileName)")
        }
        print()
        var table = Table(header: ["layer", "op", "type", "output", "parameters", "MACs", "bytes"])
        for layer in result.layers {
            table.add([
                String(layer.name.suffix(48)), layer.op, layer.dtype, "\(Shape(layer.output))",
                Text.count(layer.parameters), Text.count(layer.macs), Text.bytes(layer.bytes),
            ])
        }
        table.add([])
        table.add([
            "\(result.layers.count) layers", "", "", "", Text.count(result.parameters), Text.count(result.macs),
            Text.bytes(result.bytes),
        ])
        table.write()
        guard let report = result.report else { return }
        print()
        ReportText(report: report, metric: report.after.accuracy.flatMap { Metric(rawValue: $0.metric) }).write()
    }
}
