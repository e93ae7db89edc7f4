import Foundation
import OunceGraph
import Testing

@testable import OunceFormats

/// Operators as the ONNX project tests them: each model is read as it declares itself, or refused with a reason.
@Suite struct ConformanceTests {
    @Test(arguments: [("node_tests", 500), ("pytorch_converted", 82)])
    func readsTheTestsOfONNX(_ archive: String, _ minimum: Int) throws {
        guard let root = Fixture.shared() else { return }
        let folder = Fixture.temporary("onnx")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let tar = Process()
        tar.executableURL = URL(filePath: "/usr/bin/env")
        tar.arguments = ["tar", "xzf", root + "/onnx_conformance/\(archive).tar.gz", "-C", folder]
        try tar.run()
        tar.waitUntilExit()
        #expect(tar.terminationStatus == 0)

        var read = 0
        var refused: [String] = []
        let names = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
        for name in names.sorted() where name.hasSuffix(".onnx") {
            do throws(FormatError) {
                let graph = try ModelFile.load(path: "\(folder)/\(name)")
                read += 1
                try expectDeclaredOutputs(of: graph, in: "\(folder)/\(name)")
            } catch {
                #expect(error.code == .unsupported, "\(name): \(error)")
                refused.append("\(name): \(error.message.split(separator: "\n").last ?? "")")
            }
        }
        print("read \(read), refused \(refused.count)")
        if ProcessInfo.processInfo.environment["OUNCE_LIST_REFUSED"] != nil { print(refused.joined(separator: "\n")) }
        #expect(read >= minimum)
    }

    private func expectDeclaredOutputs(of graph: Graph, in path: String) throws(FormatError) {
        let bytes = try FormatError.content(path, maximumBytes: 1 << 24)
        guard let model = try? ONNXModelProto(serializedBytes: bytes) else { return }
        for ((id, cut), output) in zip(zip(graph.outputs, graph.outputCuts), model.graph.output) {
            let declared = output.type.tensorType.shape.dim.map { $0.dimValue > 0 ? Int($0.dimValue) : -1 }
            var made = graph[id].shape.dims
            // Its extent is known when the model has run.
            if let cut { made[cut.axis] = -1 }
            let agrees = made.count == declared.count && zip(made, declared).allSatisfy { $0 < 0 || $1 < 0 || $0 == $1 }
            #expect(agrees, "\(path): \(made), declared \(declared)")
        }
    }
}
