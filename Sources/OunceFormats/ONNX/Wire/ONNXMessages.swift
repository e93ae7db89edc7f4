// The part of the ONNX model format that Ounce reads and writes; names and field numbers are those of onnx.proto in the
// ONNX specification. What is left out (training, metadata, shapes of inner values) is skipped on reading.

struct ONNXModelProto {
    var irVersion: Int64 = 0
    var producerName = ""
    var producerVersion = ""
    var graph = ONNXGraphProto() { didSet { hasGraph = true } }
    private(set) var hasGraph = false
    var opsetImport: [ONNXOperatorSetIdProto] = []
    var functions: [ONNXFunctionProto] = []
}

struct ONNXOperatorSetIdProto {
    /// Empty or "ai.onnx" for the standard operators.
    var domain = ""
    var version: Int64 = 0
}

/// Operators that the model defines itself.
struct ONNXFunctionProto {
    var name = ""
    var domain = ""
    /// Tells apart functions of one name.
    var overload = ""
    var input: [String] = []
    var output: [String] = []
    /// Attributes without a default.
    var attribute: [String] = []
    /// Attributes with their defaults.
    var attributeProto: [ONNXAttributeProto] = []
    var node: [ONNXNodeProto] = []
    var opsetImport: [ONNXOperatorSetIdProto] = []
}

struct ONNXGraphProto {
    var node: [ONNXNodeProto] = []
    var name = ""
    var initializer: [ONNXTensorProto] = []
    var sparseInitializer: [ONNXSparseTensorProto] = []
    var input: [ONNXValueInfoProto] = []
    var output: [ONNXValueInfoProto] = []
}

struct ONNXNodeProto {
    var input: [String] = []
    var output: [String] = []
    var name = ""
    var opType = ""
    var attribute: [ONNXAttributeProto] = []
    var domain = ""
    var overload = ""
}

struct ONNXAttributeProto {
    var name = ""
    /// Within a function: the attribute of the function that this one takes its value from.
    var refAttrName = ""
    var f: Float = 0
    var i: Int64 = 0
    var s = FileBytes()
    var floats: [Float] = []
    var ints: [Int64] = []
    var strings: [FileBytes] = []
    /// Which of the fields holds the content (1 f, 2 i, 3 s, 4 t, 5 g, 6 floats, 7 ints, 8 strings); not read.
    var type: Int32 = 0

    // In arrays, since a struct cannot hold itself and most attributes have none of these.
    var tensors: [ONNXTensorProto] = []
    var graphs: [ONNXGraphProto] = []
    var sparseTensors: [ONNXSparseTensorProto] = []

    var t: ONNXTensorProto { tensors.first ?? ONNXTensorProto() }
    /// The body of If, Loop or Scan.
    var g: ONNXGraphProto? { graphs.first }
}

struct ONNXTensorProto {
    var dims: [Int64] = []
    var dataType: Int32 = 0
    var name = ""
    var rawData = FileBytes()
    /// Numbers that are not in `rawData`; those of one field each.
    var typedData: [WireNumbers] = []
    var stringCount = 0
    /// 1: the numbers lie in another file.
    var dataLocation: Int32 = 0
    var externalData: [String: String] = [:]
    /// Where such files are looked for.
    var folder: ExternalFolder?
}

/// Non-zero numbers and where they stand.
struct ONNXSparseTensorProto {
    /// Its name is the sparse tensor's.
    var values = ONNXTensorProto()
    /// int64; one number (place in row-major order) or `dims.count` numbers for each of `values`.
    var indices = ONNXTensorProto()
    var dims: [Int64] = []
}

struct ONNXValueInfoProto {
    var name = ""
    var type = ONNXTypeProto() { didSet { hasType = true } }
    private(set) var hasType = false
}

struct ONNXTypeProto {
    struct Tensor {
        var elemType: Int32 = 0
        var shape = ONNXTensorShapeProto() { didSet { hasShape = true } }
        private(set) var hasShape = false
    }
    var tensorType = Tensor() { didSet { hasTensorType = true } }
    /// False for anything but a dense tensor.
    private(set) var hasTensorType = false
}

struct ONNXTensorShapeProto {
    struct Dimension {
        enum Value {
            case dimValue(Int64)
            case dimParam(String)
        }
        var value: Value?

        var dimValue: Int64 {
            get { if case .dimValue(let value)? = value { value } else { 0 } }
            set { value = .dimValue(newValue) }
        }
        var dimParam: String {
            get { if case .dimParam(let name)? = value { name } else { "" } }
            set { value = .dimParam(newValue) }
        }
    }
    var dim: [Dimension] = []
}
