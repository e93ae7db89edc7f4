import Glibc
import OunceGraph

/// Spectra as products with matrices of sines and cosines.
extension ONNXTranslation {
    /// `length` samples of `parts` (1: real, 2: complex) numbers to `bins` frequencies (real and imaginary part each), or
    /// back: weights `[bins * 2, length * parts]`.
    private mutating func fourierMatrix(
        length: Int, parts: Int, bins: Int, of total: Int, isInverse: Bool, _ dtype: DType
    ) throws(ImportFailure) -> ValueID {
        let (rows, columns) = (2 * bins, length * parts)
        let (count, overflow) = rows.multipliedReportingOverflow(by: columns)
        guard !overflow, count <= 1 << 26 else { throw .unsupported("a transform of \(length) numbers") }
        try builder.charge(8 * count)
        let sign = isInverse ? 1.0 : -1.0
        let factor = isInverse ? 1 / Double(total) : 1
        var matrix: [Double] = []
        for row in 0..<rows {
            for column in 0..<columns {
                let turn = (row / 2).multipliedFullWidth(by: column / parts)
                let angle = 2 * Double.pi * Double(Int(turn.low % UInt(total))) / Double(total)
                let (c, s) = (cos(angle), sign * sin(angle))
                let isImaginary = parts == 2 && column % 2 == 1
                let entry = row % 2 == 0 ? (isImaginary ? -s : c) : (isImaginary ? c : s)
                matrix.append(factor * entry)
            }
        }
        return try cast(try numbers(matrix, [rows, columns]), dtype)
    }

    mutating func discreteFourier(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        let x = try value(node, 0)
        let isInverse = node.int("inverse", default: 0) != 0
        let isOneSided = node.int("onesided", default: 0) != 0
        guard rank(x) >= 2, let parts = shape(x).dims.last, parts == 1 || parts == 2 else {
            throw .corrupt("its input is \(shape(x)); the last axis is 1 or 2")
        }
        let given = opset >= 20 ? try integers(node, 2)?.first ?? -2 : node.int("axis", default: 1)
        let axis = try self.axis(given, of: x)
        let extent = shape(x)[axis]
        guard axis < rank(x) - 1, extent > 0 else {
            throw .unsupported("the transform of \(shape(x)) along axis \(axis); export with fixed shapes")
        }
        let returnsReal = isInverse && isOneSided
        let total = try integers(node, 1)?.first ?? (returnsReal ? 2 * (extent - 1) : extent)
        guard (1...ONNXNode.maximumSize).contains(total) else { throw .corrupt("dft_length \(total)") }
        let length = min(returnsReal ? total / 2 + 1 : total, extent)
        var rest = Array(0..<rank(x))
        rest.remove(at: axis)
        rest.insert(axis, at: rank(x) - 2)
        let moved = try transpose(try slice(x, axis: axis, 0, length), rest)
        let lead = shape(moved).dims.dropLast(2).indices.map { ReshapeDimension.copy($0) }
        let flat = try reshape(moved, lead + [.literal(length * parts)])
        let dtype = type(x).dtype
        var back = Array(0..<rank(x))
        back.remove(at: rank(x) - 2)
        back.insert(rank(x) - 2, at: axis)
        if returnsReal {
            guard parts == 2 else { throw .corrupt("the inverse of a half spectrum takes complex numbers") }
            let matrix = try halfSpectrumInverse(length: length, total: total, dtype)
            let result = try make(.fullyConnected(.none), flat, matrix)
            return .value(try transpose(try reshape(result, lead + [.literal(total), .literal(1)]), back))
        }
        let bins = isOneSided ? total / 2 + 1 : total
        let matrix = try fourierMatrix(
            length: length, parts: parts, bins: bins, of: total, isInverse: isInverse, dtype)
        let result = try make(.fullyConnected(.none), flat, matrix)
        return .value(try transpose(try reshape(result, lead + [.literal(bins), .literal(2)]), back))
    }

    /// Real numbers from the first half of a spectrum; the rest of it is its mirror image.
    private mutating func halfSpectrumInverse(
        length: Int, total: Int, _ dtype: DType
    ) throws(ImportFailure) -> ValueID {
        guard total * length <= 1 << 25 else { throw .unsupported("a transform of \(total) numbers") }
        try builder.charge(16 * total * length)
        var matrix: [Double] = []
        for row in 0..<total {
            for k in 0..<length {
                let angle = 2 * Double.pi * Double(row * k % total) / Double(total)
                let isAlone = k == 0 || 2 * k == total
                let weight = (isAlone ? 1.0 : 2.0) / Double(total)
                matrix += [weight * cos(angle), -weight * sin(angle)]
            }
        }
        return try cast(try numbers(matrix, [total, 2 * length]), dtype)
    }

    /// Spectra of overlapping pieces: a convolution whose filters are the waves.
    mutating func shortTimeFourier(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        var x = try value(node, 0)
        let isOneSided = node.int("onesided", default: 1) != 0
        if rank(x) == 2 { x = try reshape(x, [.copy(0), .copy(1), .literal(1)]) }
        guard rank(x) == 3, let parts = shape(x).dims.last, parts == 1 || parts == 2,
            let step = try integers(node, 1)?.first, (1...ONNXNode.maximumSize).contains(step)
        else { throw .corrupt("its input is \(shape(x)), or its step is no positive number") }
        let window = try optionalValue(node, 2)
        let given = try integers(node, 3)?.first ?? window.map { shape($0)[0] }
        guard let length = given, (1...ONNXNode.maximumSize).contains(length) else {
            throw .corrupt("it has neither a frame length nor a window")
        }
        let bins = isOneSided ? length / 2 + 1 : length
        var waves = try fourierMatrix(
            length: length, parts: parts, bins: bins, of: length, isInverse: false, type(x).dtype)
        waves = try reshape(waves, to: [2 * bins, length, parts])
        if let window { waves = try multiply(waves, try reshape(window, to: [length, 1])) }
        let conv = Convolution(strides: [step], dilations: [1], padBefore: [0], padAfter: [0])
        let spectra = try make(.conv(conv), x, waves)
        return .value(try reshape(spectra, [.copy(0), .copy(1), .literal(bins), .literal(2)]))
    }

    enum SignalWindow { case hann, hamming, blackman }

    mutating func signalWindow(_ window: SignalWindow, _ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        guard let size = try integers(node, 0)?.first, (0...ONNXNode.maximumSize).contains(size) else {
            throw .corrupt("its size is no number")
        }
        let code = node.int("output_datatype", default: 1)
        guard let dtype = DType(onnx: code) else { throw .unsupported("element type \(code) of ONNX") }
        let period = Double(node.int("periodic", default: 1) != 0 ? size : max(size - 1, 1))
        let values = (0..<size).map { index -> Double in
            let angle = 2 * Double.pi * Double(index) / period
            return switch window {
            case .hann: 0.5 - 0.5 * cos(angle)
            case .hamming: 25.0 / 46 - 21.0 / 46 * cos(angle)
            case .blackman: 0.42 - 0.5 * cos(angle) + 0.08 * cos(2 * angle)
            }
        }
        return .value(try cast(try numbers(values), dtype))
    }

    mutating func melWeights(_ node: inout ONNXNode) throws(ImportFailure) -> ONNXBinding {
        var parameters: [Double] = []
        for index in 0..<5 {
            guard let number = try constantOrNeeded(node, index)?.doubles().first else {
                throw .unsupported("its input \(index) is not known on import; export it as a constant")
            }
            parameters.append(number)
        }
        let code = node.int("output_datatype", default: 1)
        guard let dtype = DType(onnx: code) else { throw .unsupported("element type \(code) of ONNX") }
        guard (1...4096).contains(parameters[0]), (1...Double(ONNXNode.maximumSize)).contains(parameters[1]),
            parameters.allSatisfy(\.isFinite), parameters[2] > 0, parameters[3] >= 0, parameters[4] >= parameters[3]
        else { throw .corrupt("\(parameters) are no bins, length, rate and frequencies") }
        let (bands, length) = (Int(parameters[0]), Int(parameters[1]))
        let bins = length / 2 + 1
        func mel(_ frequency: Double) -> Double { 2595 * log10(1 + frequency / 700) }
        let (low, high) = (mel(parameters[3]), mel(parameters[4]))
        let step = (high - low) / Double(bands + 2)
        let edges = (0..<bands + 2).map { index -> Int in
            let frequency = 700 * (pow(10, (Double(index) * step + low) / 2595) - 1)
            return Int(max(-1, min((Double(length + 1) * frequency / parameters[2]).rounded(.down), 0x1p30)))
        }
        try builder.charge(8 * bins * bands)
        var weights = [Double](repeating: 0, count: bins * bands)
        func set(_ bin: Int, _ band: Int, _ value: Double) {
            if (0..<bins).contains(bin) { weights[bin * bands + band] = value }
        }
        for band in 0..<bands {
            let (start, centre, end) = (edges[band], edges[band + 1], edges[band + 2])
            if centre == start {
                set(centre, band, 1)
            } else {
                for bin in start...min(centre, max(bins, start)) {
                    set(bin, band, Double(bin - start) / Double(centre - start))
                }
            }
            for bin in centre..<min(max(end, centre), max(bins, centre)) {
                set(bin, band, Double(end - bin) / Double(end - centre))
            }
        }
        return .value(try cast(try numbers(weights, [bins, bands]), dtype))
    }
}
