import OunceGraph

/// Resizing by any interpolation: along each axis a few weighted numbers of the input for each of the output.
extension ONNXTranslation {
    mutating func resize(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        var x = try value(node, 0)
        let dims = shape(x).dims
        let isOld = opset < 11
        let axes = try axes(node.ints("axes") ?? Array(dims.indices), rank: dims.count)
        let resampling = try Resampling(&node, isOld: isOld)
        let policy = node.string("keep_aspect_ratio_policy", default: "stretch")
        let roi = try isOld ? nil : constantOrNeeded(node, 1)?.doubles()
        let given =
            isOld && node.proto.opType == "Upsample" && opset < 9
            ? node.attribute("scales")?.floats.map { Double($0) }
            : try constantOrNeeded(node, isOld ? 1 : 2)?.doubles()
        let sizes = try isOld || given?.isEmpty == false ? nil : integers(node, 3)
        let scales = given?.isEmpty == true ? nil : given
        guard (scales?.count ?? sizes?.count) == axes.count else {
            throw .unsupported("its scales or sizes are not known on import, or not as many as axes")
        }
        var targets: [(axis: Int, size: Int, scale: Double, roi: (Double, Double)?)] = []
        for (place, axis) in axes.enumerated() {
            let scale = scales?[place] ?? 1
            guard dims[axis] > 0 else {
                guard scales != nil, scale == 1 else {
                    throw .unsupported("it resizes an unknown extent; export with fixed shapes")
                }
                continue
            }
            let size = sizes?[place] ?? Int(exactly: (Double(dims[axis]) * scale).rounded(.down)) ?? 0
            guard (1...ONNXNode.maximumSize).contains(size), scale.isFinite, scale > 0 else {
                throw .corrupt("a resize of \(dims[axis]) to \(size)")
            }
            let range = roi.flatMap { $0.count == 2 * axes.count ? ($0[place], $0[axes.count + place]) : nil }
            targets.append((axis, size, sizes == nil ? scale : Double(size) / Double(dims[axis]), range))
        }
        if sizes != nil, policy != "stretch" {
            let ratios = targets.map(\.scale)
            guard let ratio = policy == "not_larger" ? ratios.min() : ratios.max() else { return .value(x) }
            for index in targets.indices {
                targets[index].scale = ratio
                targets[index].size = Int((ratio * Double(dims[targets[index].axis]) + 0.5).rounded(.down))
            }
        }
        var outside: ValueID?
        for target in targets {
            let isSame = target.size == dims[target.axis] && target.scale == 1 && resampling.mode != .crop
            guard !isSame else { continue }
            let line = try resampling.line(
                extent: dims[target.axis], size: target.size, scale: target.scale, roi: target.roi)
            try builder.charge(12 * line.places.count)
            let shape = Shape([target.size, line.taps])
            x = try make(
                .resample(axis: target.axis), x, try numbers(line.places, shape), try numbers(line.weights, shape))
            guard line.isOutside.contains(true) else { continue }
            let trailing = [Int](repeating: 1, count: dims.count - 1 - target.axis)
            let mask = try numbers(line.isOutside, Shape([target.size] + trailing))
            outside = try outside.map { (sofar) throws(ImportFailure) in try binary(.or, sofar, mask) } ?? mask
        }
        if let outside { x = try choose(outside, try scalar(resampling.extrapolation, like: x), x) }
        return .value(x)
    }
}

/// Where the numbers of a resized axis come from.
private struct Resampling {
    enum Mode: String {
        case halfPixel = "half_pixel"
        case halfPixelSymmetric = "half_pixel_symmetric"
        case pytorch = "pytorch_half_pixel"
        case corners = "align_corners"
        case asymmetric
        case crop = "tf_crop_and_resize"
        case halfPixelNearest = "tf_half_pixel_for_nn"
    }
    struct Line {
        var places: [Int64] = []
        var weights: [Float] = []
        var isOutside: [Bool] = []
        var taps = 1
    }

    let mode: Mode
    let extrapolation: Double
    private let interpolation: String
    private let rounding: String
    private let cubic: Double
    private let excludesOutside: Bool
    private let isAntialiased: Bool

    init(_ node: inout ONNXNode, isOld: Bool) throws(ImportFailure) {
        let name = node.string("coordinate_transformation_mode", default: isOld ? "asymmetric" : "half_pixel")
        guard let mode = Mode(rawValue: name) else { throw .unsupported("coordinates '\(name)' are not known") }
        self.mode = mode
        interpolation = node.string("mode", default: "nearest")
        guard ["nearest", "linear", "bilinear", "cubic"].contains(interpolation) else {
            throw .unsupported("mode '\(interpolation)' is not known")
        }
        rounding = node.string("nearest_mode", default: isOld ? "floor" : "round_prefer_floor")
        cubic = Double(node.float("cubic_coeff_a", default: -0.75))
        excludesOutside = node.int("exclude_outside", default: 0) != 0
        extrapolation = Double(node.float("extrapolation_value", default: 0))
        isAntialiased = node.int("antialias", default: 0) != 0
    }

    func line(
        extent: Int, size: Int, scale: Double, roi: (Double, Double)?
    ) throws(ImportFailure) -> Line {
        // A downscaled axis widens the kernel where that is asked for.
        let width = isAntialiased && interpolation != "nearest" ? min(scale, 1) : 1
        let reach = interpolation == "cubic" ? 2.0 : 1.0
        let first = Int((-reach / width).rounded(.down)) + 1
        let taps = interpolation == "nearest" ? 1 : 2 - 2 * first
        guard taps <= 1 << 12, taps * size <= 1 << 24 else { throw .corrupt("a resize of \(extent) to \(size)") }
        var line = Line()
        line.taps = taps
        for output in 0..<size {
            let source = origin(of: Double(output), extent: extent, size: size, scale: scale, roi: roi)
            line.isOutside.append(mode == .crop && (source < 0 || source > Double(extent - 1)))
            let base = source.rounded(.down)
            guard base.magnitude < 0x1p40 else { throw .corrupt("a resize of \(extent) to \(size)") }
            if interpolation == "nearest" {
                line.places.append(Int64(min(max(nearest(source), 0), extent - 1)))
                line.weights.append(1)
                continue
            }
            let ratio = source - base
            var weights = (first..<first + taps).map { kernel((Double($0) - ratio) * width) }
            let places = (first..<first + taps).map { Int(base) + $0 }
            if excludesOutside {
                for tap in places.indices where !(0..<extent).contains(places[tap]) { weights[tap] = 0 }
            }
            let sum = weights.reduce(0, +)
            if excludesOutside || isAntialiased, sum != 0 { weights = weights.map { $0 / sum } }
            line.places += places.map { Int64(min(max($0, 0), extent - 1)) }
            line.weights += weights.map { Float($0) }
        }
        return line
    }

    private func origin(of x: Double, extent: Int, size: Int, scale: Double, roi: (Double, Double)?) -> Double {
        let (input, output) = (Double(extent), scale * Double(extent))
        switch mode {
        case .corners: return output == 1 || size == 1 ? 0 : x * (input - 1) / (output - 1)
        case .asymmetric: return x / scale
        case .halfPixelNearest: return (x + 0.5) / scale
        case .pytorch: return size == 1 ? -0.5 : (x + 0.5) / scale - 0.5
        case .halfPixel: return (x + 0.5) / scale - 0.5
        case .halfPixelSymmetric:
            let offset = input / 2 * (1 - Double(size) / output)
            return offset + (x + 0.5) / scale - 0.5
        case .crop:
            let (start, end) = roi ?? (0, 1)
            if size == 1 { return (start + end) / 2 * (input - 1) }
            return x * (end - start) * (input - 1) / (Double(size) - 1) + start * (input - 1)
        }
    }

    private func nearest(_ x: Double) -> Int {
        let base = x.rounded(.down)
        let isHigh =
            switch rounding {
            case "floor": false
            case "ceil": x > base
            case "round_prefer_ceil": x - base >= 0.5
            default: x - base > 0.5
            }
        return Int(base) + (isHigh ? 1 : 0)
    }

    private func kernel(_ x: Double) -> Double {
        let (x, a) = (x.magnitude, cubic)
        guard interpolation == "cubic" else { return max(1 - x, 0) }
        if x <= 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
        return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0
    }
}
