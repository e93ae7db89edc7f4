import Foundation
import OunceCompress
import OunceFormats
import OunceGraph
import OunceRuntime
import OunceTestSupport
import Testing

/// Operators as the ONNX project tests them, from the model file through the runtime; and what a verdict says.
@Suite struct VerifyTests {
    /// The tests that are known not to pass, each with its reason.
    private static let known: Set<String> = [
        // The expected numbers wrap around where the operator's text asks for saturation; ONNX Runtime fails them too.
        "test_qlinearmatmul_2D_int8_float16", "test_qlinearmatmul_2D_int8_float32",
        "test_qlinearmatmul_3D_int8_float16", "test_qlinearmatmul_3D_int8_float32",
        // Training with random numbers.
        "test_training_dropout_default", "test_training_dropout_default_mask", "test_training_dropout_mask",
    ]

    @Test(arguments: [("node_tests", 671), ("pytorch_converted", 82)])
    func passesTheTestsOfONNX(_ archive: String, _ minimum: Int) throws {
        guard let root = try SharedData.found()?.folder else { return }
        let folder = try Scratch("onnx-\(archive)")
        try folder.unpack("\(root)/onnx_conformance/\(archive).tar.gz")
        let verifier = ModelVerifier(options: RuntimeOptions())
        var passed = 0
        for path in try ModelVerifier.cases(below: folder.path) {
            let name = String(path.split(separator: "/").last ?? "")
            switch verifier.verify(folder: path) {
            case .passed: passed += 1
            case .failed(let reason), .refused(let reason):
                #expect(Self.known.contains(name), "\(name): \(reason)")
            }
        }
        print("\(archive): \(passed) passed")
        #expect(passed >= minimum)
    }

    @Test func tellsTheFirstDifference() throws {
        let agreement = TensorAgreement()
        let expected = try #require(Tensor([1, 2, .nan, 4] as [Float], shape: [2, 2]))
        let close = try #require(Tensor([1, 2.001, .nan, 4] as [Float], shape: [2, 2]))
        let far = try #require(Tensor([1, 2, .nan, 4.1] as [Float], shape: [2, 2]))
        #expect(agreement.difference(close, expected) == nil)
        #expect(try #require(agreement.difference(far, expected)).contains("[1, 1]"))
        #expect(agreement.difference(Tensor([1, 2] as [Int64]), Tensor([1, 3] as [Int64]))?.contains("[1]") == true)
        #expect(agreement.difference(Tensor([1] as [Int64]), Tensor([1] as [Int32]))?.contains("int32") == true)
        #expect(agreement.difference(Tensor([1] as [Float]), expected)?.contains("shape") == true)
    }

    @Test func failsOnWrongNumbersAndMissingFiles() throws {
        guard let root = try SharedData.found()?.folder else { return }
        let folder = try Scratch("onnx-wrong")
        try folder.unpack("\(root)/onnx_conformance/pytorch_converted.tar.gz")
        let path = try #require(try ModelVerifier.cases(below: folder.path).first)
        let verifier = ModelVerifier(options: RuntimeOptions())
        let input = try ONNXTensorFile.read(path: "\(path)/test_data_set_0/input_0.pb")
        let output = try ONNXTensorFile.read(path: "\(path)/test_data_set_0/output_0.pb")
        let model = "\(path)/model.onnx"
        #expect(verifier.verify(model: model, inputs: .ordered([input]), expected: .ordered([output])) == .passed)
        let wrong = try #require(Tensor(output.floats().map { $0 + 1 }, shape: output.shape))
        for outcome in [
            verifier.verify(model: model, inputs: .ordered([input]), expected: .ordered([wrong])),
            verifier.verify(model: model, inputs: .ordered([]), expected: .ordered([output])),
            verifier.verify(model: model + ".absent", inputs: .ordered([input]), expected: .ordered([output])),
            verifier.verify(folder: folder.path),
        ] {
            guard case .failed = outcome else {
                Issue.record("\(outcome)")
                continue
            }
        }
    }
}

/// Every operator as the artifact holds it.
@Suite struct OperatorCodingTests {
    @Test func artifactsKeepEveryOperator() throws {
        guard let root = try SharedData.found()?.folder else { return }
        let folder = try Scratch("onnx-coding")
        try folder.unpack("\(root)/onnx_conformance/node_tests.tar.gz")
        var kinds: Set<String> = []
        let provenance = Provenance(
            ounceVersion: "", modelName: "", modelHash: "", profileName: "", profileHash: "", recipeName: "",
            recipeHash: "", calibrationHash: nil, validationHash: nil)
        for path in try ModelVerifier.cases(below: folder.path) {
            guard let graph = try? ONNXImporter.load(path: path + "/model.onnx").simplified() else { continue }
            let file = "\(folder.path)/model.ounce"
            let artifact = Artifact(graph: graph, provenance: provenance, report: nil, selfChecks: [])
            try Data(try artifact.encoded()).write(to: URL(filePath: file))
            let opened = try Artifact.open(path: file).graph
            #expect(opened.nodes.map(\.op) == graph.nodes.map(\.op), "\(path)")
            #expect(opened.values.map(\.type) == graph.values.map(\.type), "\(path)")
            kinds.formUnion(graph.nodes.map(\.op.name))
        }
        print("\(kinds.count) kinds of operators")
        for kind in ["gather", "scatter", "select", "argMax", "poolIndices", "gru", "lstm", "reverse"] {
            #expect(kinds.contains(kind), "\(kind) occurs in no model")
        }
    }
}
