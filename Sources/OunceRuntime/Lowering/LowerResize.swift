import COunceKernels
import OunceGraph

/// Where the slices of an axis come from.
struct ResizedAxis {
    let axis: Int
    let extent: Int
    let outputs: Int
    let places: [Int32]
    /// nil: slices are moved as they are.
    var weights: [Float]?

    var taps: Int { places.count / max(outputs, 1) }
    /// The table of a moved axis in the form of the others.
    var weighted: [Float] { weights ?? [Float](repeating: 1, count: places.count) }
}

/// One axis that is resized, or two neighbouring ones, in one step.
struct ResizePieces {
    /// What is read, int8 where the numbers between are never written out.
    var source: ValueID
    var first: ResizedAxis
    var second: ResizedAxis?
    /// The nodes that the step of the last one stands for.
    var absorbed: [Int] = []

    var isMoved: Bool { first.weights == nil && second?.weights == nil }
}

extension Graph {
    /// All resizes by tables that are known, by the index of the last node that their step stands for.
    func resizes(_ flow: ValueFlow) -> [Int: ResizePieces] {
        func isInt8(_ id: ValueID) -> Bool {
            self[id].dtype == .int8 && self[id].encoding.affine?.isPerTensor == true
        }
        var found: [Int: ResizePieces] = [:]
        var absorbed: Set<Int> = []
        for (last, node) in nodes.enumerated().reversed() where !absorbed.contains(last) {
            var (index, trail): (Int, [Int]) = (last, [])
            if node.op == .quantize {
                guard let x = node.inputs[0], isInt8(node.outputs[0]), let maker = flow.maker(x) else { continue }
                (index, trail) = (maker, [maker])
            }
            guard var pieces = resizedAxis(nodes[index]).map({ ResizePieces(source: $0, first: $1) }) else { continue }
            if let maker = flow.maker(pieces.source), let (source, outer) = resizedAxis(nodes[maker]),
                outer.axis + 1 == pieces.first.axis, (outer.weights == nil) == (pieces.first.weights == nil)
            {
                pieces = ResizePieces(source: source, first: outer, second: pieces.first)
                trail.append(maker)
            }
            if node.op == .quantize {
                guard let maker = flow.maker(pieces.source), nodes[maker].op == .dequantize,
                    let stored = nodes[maker].inputs[0], isInt8(stored)
                else { continue }
                pieces.source = stored
                trail.append(maker)
            }
            pieces.absorbed = trail
            guard takes(pieces, to: node.outputs[0]) else { continue }
            found[last] = pieces
            absorbed.formUnion(trail)
        }
        return found
    }

    /// Whether a kernel has this form: sums of floats or of int8 numbers, or slices of anything.
    private func takes(_ pieces: ResizePieces, to output: ValueID) -> Bool {
        let (x, y) = (self[pieces.source], self[output])
        if x.dtype == .int8, let from = x.encoding.affine, let to = y.encoding.affine, y.dtype == .int8 {
            return from.isPerTensor && to.isPerTensor && (from.scale / to.scale).isFinite
        }
        return x.dtype == y.dtype && x.encoding == y.encoding
            && (pieces.isMoved || (x.dtype == .float32 && x.encoding == .plain))
    }

    /// What a node reads, and the tables of its axis.
    private func resizedAxis(_ node: Node) -> (ValueID, ResizedAxis)? {
        guard let resized = resizedAxis(node.op), let x = node.inputs.first ?? nil, node.inputs.count > 1,
            let table = node.inputs[1], let axis = self[x].shape.normalized(axis: resized),
            let given = self[table].constant?.integers(), !given.isEmpty, node.outputs.count == 1,
            self[x].shape.elementCount ?? 0 > 0, self[node.outputs[0]].shape.elementCount ?? 0 > 0
        else { return nil }
        let extent = self[x].shape[axis]
        let places = given.map { $0 < 0 ? $0 &+ extent : $0 }
        guard extent <= Int(Int32.max), places.allSatisfy({ (0..<extent).contains($0) }) else { return nil }
        var weights: [Float]?
        if case .resample = node.op {
            guard node.inputs.count > 2, let id = node.inputs[2], let numbers = self[id].constant?.elements(Float.self),
                numbers.count == places.count, numbers.allSatisfy(\.isFinite)
            else { return nil }
            let isMoved = self[table].shape[1] == 1 && numbers.allSatisfy { $0 == 1 }
            if !isMoved { weights = numbers }
        } else if self[table].shape.rank != 1 {
            return nil
        }
        return (
            x,
            ResizedAxis(
                axis: axis, extent: extent, outputs: self[node.outputs[0]].shape[axis],
                places: places.map { Int32(truncatingIfNeeded: $0) }, weights: weights)
        )
    }

    private func resizedAxis(_ op: Op) -> Int? {
        switch op {
        case .resample(let axis), .gather(.slices(let axis)): axis
        default: nil
        }
    }
}

extension Lowering {
    mutating func lowerResize(_ node: Node, _ pieces: ResizePieces) throws(RuntimeError) {
        let (x, output) = (graph[pieces.source], graph[node.outputs[0]])
        for id in [pieces.source, node.outputs[0]] { try checkExtents(id) }
        let source = try operand(pieces.source)
        var parameters = ounce_resize_params()
        let last = pieces.second ?? pieces.first
        parameters.outer = Int64(x.shape.dims[..<pieces.first.axis].reduce(1, *))
        parameters.inner = Int64(x.shape.dims[(last.axis + 1)...].reduce(1, *))
        var isMoved = pieces.isMoved
        var family = OUNCE_RESIZE_F32
        if x.dtype == .int8, let from = x.encoding.affine, let to = output.encoding.affine {
            family = OUNCE_RESIZE_S8
            isMoved = isMoved && from == to
            parameters.scale = try factor(Double(from.scale) / Double(to.scale))
            (parameters.in_zero, parameters.out_zero) = (from.zeroPoint, to.zeroPoint)
        } else if x.dtype.byteSize != 4 {
            // Elements of any size, as bytes.
            family = OUNCE_RESIZE_S8
            parameters.inner *= Int64(x.dtype.byteSize)
        }
        var owned: [Tensor] = []
        parameters.axis.0 = Self.tables(of: pieces.first, isMoved: isMoved, owning: &owned)
        if let second = pieces.second {
            parameters.axis.1 = Self.tables(of: second, isMoved: isMoved, owning: &owned)
        }
        emit(
            family, parameters, owning: owned, inputs: [source], output: outputOf(node),
            cost: elementCount(node.outputs[0]) * (pieces.first.taps + (pieces.second?.taps ?? 0)), node: node.name)
    }

    private static func tables(of axis: ResizedAxis, isMoved: Bool, owning: inout [Tensor]) -> ounce_resize_axis {
        let places = Tensor(axis.places)
        owning.append(places)
        var tables = ounce_resize_axis()
        (tables.in, tables.out, tables.taps) = (Int64(axis.extent), Int64(axis.outputs), Int64(axis.taps))
        tables.places = places.bytes.baseAddress?.assumingMemoryBound(to: Int32.self)
        guard !isMoved else { return tables }
        let weights = Tensor(axis.weighted)
        owning.append(weights)
        tables.weights = weights.bytes.baseAddress?.assumingMemoryBound(to: Float.self)
        return tables
    }
}
