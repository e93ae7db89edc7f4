import Foundation
import OunceCompress
import OunceFormats
import OunceGraph
import OunceRuntime
import OunceTestSupport
import Testing

/// ONNX's operator tests, read, written and read again: the second reading still gives the expected outputs.
@Suite struct ExportRoundTripTests {
    @Test(arguments: [("node_tests", 500), ("pytorch_converted", 82)])
    func writtenModelsPassTheTestsOfONNX(_ archive: String, _ minimum: Int) throws {
        guard let root = try SharedData.found()?.folder else { return }
        let folder = try Scratch("onnx-export-\(archive)")
        try folder.unpack("\(root)/onnx_conformance/\(archive).tar.gz")
        let verifier = ModelVerifier(options: RuntimeOptions())
        var passed = 0
        var refused: [String] = []
        for path in try ModelVerifier.cases(below: folder.path) {
            let model = "\(path)/model.onnx"
            // What is not read as it stands, or not passed, is no matter of the export.
            guard let graph = try? ModelFile.load(path: model).simplified(), verifier.verify(folder: path) == .passed
            else {
                continue
            }
            do throws(FormatError) {
                let bytes = try ONNXExporter.serialize(graph)
                #expect(try ONNXExporter.serialize(graph) == bytes, "\(path): other bytes the second time")
                try? Data(bytes).write(to: URL(filePath: model))
            } catch {
                #expect(error.code == .unsupported, "\(path): \(error)")
                refused.append(error.message)
                continue
            }
            let outcome = verifier.verify(folder: path)
            #expect(outcome == .passed, "\(path)")
            if outcome == .passed { passed += 1 }
        }
        print("\(archive): \(passed) passed after export; refused:", refused.joined(separator: "\n"))
        #expect(passed >= minimum)
        #expect(refused.count <= 4)
    }
}
