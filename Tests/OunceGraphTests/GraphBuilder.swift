import OunceGraph
import OunceTestSupport

/// Builds graphs as importers do, with random weights: NCHW models in which each spatial operator stands between
/// transposes.
struct GraphBuilder {
    var graph = Graph(name: "test")
    var random: RandomSource
    private var count = 0

    init(seed: UInt64) { random = RandomSource(seed: seed) }

    mutating func name(_ kind: String) -> String {
        count += 1
        return "\(kind)\(count)"
    }

    mutating func input(_ shape: Shape, _ dtype: DType = .float32, encoding: Encoding = .plain) -> ValueID {
        let id = graph.add(Value(name: name("input"), type: TensorType(dtype, shape), encoding: encoding))
        graph.inputs.append(id)
        return id
    }

    mutating func constant(_ shape: Shape, in range: ClosedRange<Float> = -1...1) -> ValueID {
        graph.addConstant(random.tensor(shape, in: range), name: name("constant"))
    }

    mutating func node(_ op: Op, _ inputs: [ValueID?], encoding: Encoding = .plain) throws -> ValueID {
        try graph.append(op, inputs, name: name("node"), encoding: encoding)
    }

    func shape(_ id: ValueID) -> Shape { graph[id].shape }

    /// The permutations of a tensor of `rank` to channels-last and back.
    static func layouts(_ rank: Int) -> (last: [Int], first: [Int]) {
        ([0] + Array(2..<rank) + [1], [0, rank - 1] + Array(1..<rank - 1))
    }

    /// A channels-last operator on a channels-first value.
    mutating func channelsFirst(_ op: Op, _ x: ValueID, _ others: [ValueID?] = []) throws -> ValueID {
        let (last, first) = Self.layouts(shape(x).rank)
        let turned = try node(.transpose(last), [x])
        return try node(.transpose(first), [try node(op, [turned] + others)])
    }

    mutating func conv(
        _ x: ValueID, outputs: Int, kernel: Int = 3, stride: Int = 1, groups: Int = 1, bias: Bool = false
    ) throws -> ValueID {
        let spatial = shape(x).rank - 2
        func each(_ value: Int) -> [Int] { Array(repeating: value, count: spatial) }
        let weights = constant(Shape([outputs] + each(kernel) + [shape(x)[1] / groups]))
        let attributes = Convolution(
            strides: each(stride), dilations: each(1), padBefore: each(kernel / 2), padAfter: each(kernel / 2),
            groups: groups)
        return try channelsFirst(.conv(attributes), x, [weights, bias ? constant([outputs]) : nil])
    }

    mutating func batchNormalization(_ x: ValueID) throws -> ValueID {
        let channels = shape(x)[1]
        let parameters = [constant([channels]), constant([channels]), constant([channels])]
        let variance = constant([channels], in: 0.5...2)
        return try node(.batchNormalization(axis: 1, epsilon: 1e-5), [x] + parameters + [variance])
    }

    mutating func relu(_ x: ValueID) throws -> ValueID { try node(.unary(.clip(0, .infinity)), [x]) }

    mutating func finish(_ outputs: ValueID...) throws -> Graph {
        graph.outputs = outputs
        try graph.validate()
        return graph
    }
}

extension Graph {
    /// How many nodes satisfy `predicate`.
    func count(_ predicate: (Op) -> Bool) -> Int { nodes.count { predicate($0.op) } }

    var transposes: Int { nodes.count { if case .transpose = $0.op { true } else { false } } }
    var reshapes: Int { nodes.count { if case .reshape = $0.op { true } else { false } } }
    var batchNormalizations: Int { nodes.count { if case .batchNormalization = $0.op { true } else { false } } }
    var clips: Int { nodes.count { if case .unary(.clip) = $0.op { true } else { false } } }
    var convolutions: Int { nodes.count { if case .conv = $0.op { true } else { false } } }
}
