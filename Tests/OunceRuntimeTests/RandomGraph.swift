import OunceGraph
import OunceRuntime
import OunceTestSupport
import Testing

/// Builds graphs of random operators and extents. The numbers of a test follow from its seed alone.
struct RandomGraph {
    var graph = Graph(name: "test")
    var random: RandomSource
    private var count = 0

    init(seed: UInt64) { random = RandomSource(seed: seed) }

    mutating func name(_ kind: String) -> String {
        count += 1
        return "\(kind)\(count)"
    }

    mutating func chance(_ share: Double) -> Bool { Double.random(in: 0..<1, using: &random) < share }

    mutating func pick<T>(_ choices: [T]) -> T { choices[random.int(0...(choices.count - 1))] }

    mutating func shape(rank: Int, upTo limit: Int = 9) -> Shape {
        Shape((0..<rank).map { _ in random.int(1...limit) })
    }

    /// An int8 grid as calibration gives it.
    mutating func grid() -> AffineQuantization {
        AffineQuantization(
            scale: Float.random(in: 0.005...0.1, using: &random), zeroPoint: Int32(random.int(-40...40)))
    }

    mutating func input(_ shape: Shape, _ dtype: DType = .float32) -> ValueID {
        let encoding: Encoding = dtype == .int8 ? .affine(grid()) : .plain
        let id = graph.add(Value(name: name("input"), type: TensorType(dtype, shape), encoding: encoding))
        graph.inputs.append(id)
        return id
    }

    mutating func constant(_ shape: Shape, _ dtype: DType = .float32) -> ValueID {
        dtype == .int8
            ? graph.addConstant(random.int8Tensor(shape), name: name("constant"), encoding: .affine(grid()))
            : graph.addConstant(random.tensor(shape), name: name("constant"))
    }

    /// Symmetric weights: `perChannel` with a scale for each of the first axis.
    mutating func weights(_ shape: Shape, int8: Bool, perChannel: Bool) -> ValueID {
        guard int8 else { return constant(shape) }
        let scales = (0..<(perChannel ? shape[0] : 1)).map { _ in Float.random(in: 0.002...0.02, using: &random) }
        let affine = AffineQuantization(
            scales: scales, zeroPoints: scales.map { _ in 0 }, axis: perChannel ? 0 : nil)
        return graph.addConstant(
            random.int8Tensor(shape, in: -127...127), name: name("weights"), encoding: .affine(affine))
    }

    mutating func bias(_ outputs: Int, int8: Bool) -> ValueID? {
        guard chance(0.7) else { return nil }
        guard int8 else { return constant([outputs]) }
        let numbers = (0..<outputs).map { _ in Int32(random.int(-20_000...20_000)) }
        return graph.addConstant(Tensor(numbers), name: name("bias"))
    }

    mutating func activation() -> Activation { pick([.none, .none, .relu, .relu6, .clip(-0.5, 1.25)]) }

    @discardableResult
    mutating func node(_ op: Op, _ inputs: [ValueID?], encoding: Encoding = .plain) throws -> ValueID {
        try graph.append(op, inputs, name: name("node"), encoding: encoding)
    }

    /// A node on int8 or float values; the output's grid is random where it is int8.
    mutating func node(_ op: Op, _ inputs: [ValueID?], like dtype: DType) throws -> ValueID {
        try node(op, inputs, encoding: dtype == .int8 ? .affine(grid()) : .plain)
    }

    /// A node whose int8 output has a grid that a sum of `terms` products fills.
    mutating func sum(_ op: Op, _ x: ValueID, _ w: ValueID, _ bias: ValueID?, terms: Int) throws -> ValueID {
        guard let input = graph[x].encoding.affine, let weight = graph[w].encoding.affine else {
            return try node(op, [x, w, bias])
        }
        let spread = 73.0 * 73 * Double(terms).squareRoot() * Double(input.scale) * Double(weight.scale)
        let output = AffineQuantization(scale: Float(spread / 50), zeroPoint: Int32(random.int(-60...60)))
        return try node(op, [x, w, bias], encoding: .affine(output))
    }

    mutating func finish(_ outputs: ValueID...) throws -> Graph {
        graph.outputs = outputs
        try graph.validate()
        return graph
    }

    /// Inputs for the graph; unknown extents become `batch`.
    mutating func inputs(of graph: Graph, batch: Int = 1) -> [Tensor] {
        graph.inputs.map { id in
            let shape = Shape(graph[id].shape.dims.map { $0 < 0 ? batch : $0 })
            switch graph[id].dtype {
            case .int8: return random.int8Tensor(shape)
            case .float32: return random.tensor(shape, in: -2...2)
            default:
                let numbers = (0..<shape.dims.reduce(1, *)).map { _ in Double(random.int(-100...100)) }
                return NDArray(graph[id].dtype, shape.dims, numbers).tensor ?? Tensor([Float]())
            }
        }
    }
}

/// The instruction sets to run with: scalar only, then one more at a time.
let instructionSets: [Set<String>] = InstructionSets.available.names.indices.map {
    Set(InstructionSets.available.names[...$0])
}

extension Tensor {
    var byteArray: [UInt8] { Array(bytes) }
}
