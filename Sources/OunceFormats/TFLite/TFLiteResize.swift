import OunceGraph

/// Where the centres of an output's pixels lie in the input. Source: TensorFlow Lite, `resize_bilinear.h`,
/// `resize_nearest_neighbor.h`.
private struct TFLiteResampling {
    let isAligned: Bool
    let hasHalfPixelCenters: Bool

    func scale(_ input: Int, _ output: Int) -> Float {
        isAligned && output > 1 ? Float(input - 1) / Float(output - 1) : Float(input) / Float(output)
    }

    func nearest(_ index: Int, _ input: Int, _ output: Int) -> Int {
        let place = (Float(index) + (hasHalfPixelCenters ? 0.5 : 0)) * scale(input, output)
        let whole = isAligned ? place.rounded(.toNearestOrAwayFromZero) : place.rounded(.down)
        return min(max(Int(whole), 0), input - 1)
    }

    /// The two neighbours and their weights.
    func linear(_ index: Int, _ input: Int, _ output: Int) -> (places: [Int], weights: [Float]) {
        let scale = scale(input, output)
        let place = hasHalfPixelCenters ? (Float(index) + 0.5) * scale - 0.5 : Float(index) * scale
        let lower = max(Int(place.rounded(.down)), 0)
        let upper = min(max(Int(place.rounded(.up)), 0), input - 1)
        let part = place - Float(lower)
        return ([min(lower, input - 1), upper], [1 - part, part])
    }
}

extension TFLiteTranslation {
    private mutating func target(_ op: TFLiteOperator, _ x: ValueID) throws(ImportFailure) -> [Int] {
        let size = try integers(op, 1)
        guard shape(x).rank == 4, size.count == 2, size.allSatisfy({ (1...1 << 16).contains($0) }),
            shape(x).dims[1...2].allSatisfy({ $0 > 0 })
        else { throw .corrupt("\(op.name): \(shape(x)) to \(size.prefix(4))") }
        return size
    }

    private func resampling(_ op: TFLiteOperator, _ first: Int) throws(ImportFailure) -> TFLiteResampling {
        TFLiteResampling(isAligned: try op.flag(first), hasHalfPixelCenters: try op.flag(first + 2))
    }

    mutating func resizeNearest(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        var x = try value(op, 0)
        let (size, rule) = (try target(op, x), try resampling(op, 4))
        for axis in 1...2 {
            let extent = shape(x)[axis]
            let places = (0..<size[axis - 1]).map { rule.nearest($0, extent, size[axis - 1]) }
            let gather = Op.gather(.slices(axis: axis))
            let indices = try integers(places)
            x =
                axis == 1
                ? try emit(gather, [x, indices], op, part: "rows") : try emit(gather, [x, indices], op)
        }
        return .value(x)
    }

    /// The first two options are obsolete extents.
    mutating func resizeBilinear(_ op: TFLiteOperator) throws(ImportFailure) -> TFLiteBinding {
        var x = try real(op, 0)
        let (size, rule) = (try target(op, x), try resampling(op, 8))
        for axis in 1...2 {
            let (extent, outputs) = (shape(x)[axis], size[axis - 1])
            let taps = (0..<outputs).map { rule.linear($0, extent, outputs) }
            let places = try integers(taps.flatMap(\.places), [outputs, 2])
            let weights = Tensor(taps.flatMap(\.weights)).reshaped([outputs, 2])
            guard let weights else { throw .corrupt("RESIZE_BILINEAR: \(size)") }
            let id = builder.constant(weights, name: "\(op.location).weights\(axis)")
            x = try node(.resample(axis: axis), [x, places, id], name: "\(op.location).resample\(axis)")
        }
        return .value(try finish(x, op))
    }
}
