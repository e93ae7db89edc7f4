/// A reader of outside input, fed with bytes that nobody vouches for. A trap, a bad access, an endless loop or memory
/// beyond any use is a bug; an error that is thrown is not.
package enum FuzzTarget: String, CaseIterable, Sendable {
    /// Models through import, simplification, planning and, where they are small, one inference.
    case onnx, tflite
    /// Tensors of ONNX test cases.
    case tensor
    /// `.npz`, and `.npy` where the bytes start like one.
    case npz
    /// Artifacts, whose size and checksum are put right first.
    case artifact
    /// Device profiles, recipes and settings.
    case yaml
    /// Bodies of infer requests. The first two bytes say how long the JSON is.
    case infer
    /// What a client sends on a connection.
    case http

    package func run(_ bytes: UnsafeRawBufferPointer) {
        switch self {
        case .onnx: ModelFuzzing.importONNX(Array(bytes))
        case .tflite: ModelFuzzing.importTFLite(Array(bytes))
        case .tensor: ArrayFuzzing.readTensor(Array(bytes))
        case .npz: ArrayFuzzing.readNumPy(Array(bytes))
        case .artifact: ArtifactFuzzing.open(Array(bytes))
        case .yaml: ConfigFuzzing.load(Array(bytes))
        case .infer: ServerFuzzing.infer(Array(bytes))
        case .http: ServerFuzzing.connect(Array(bytes))
        }
    }
}
