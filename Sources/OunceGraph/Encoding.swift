/// Affine quantisation: `real = scale * (q - zeroPoint)`.
///
/// One scale for the whole tensor (`axis` is nil) or one for each index along `axis`.
/// Source: TensorFlow Lite 8-bit quantization specification; ONNX QuantizeLinear.
package struct AffineQuantization: Sendable, Hashable {
    package var scales: [Float]
    package var zeroPoints: [Int32]
    package var axis: Int?

    package init(scale: Float, zeroPoint: Int32) {
        scales = [scale]
        zeroPoints = [zeroPoint]
        axis = nil
    }

    /// `zeroPoints` has as many entries as `scales`.
    package init(scales: [Float], zeroPoints: [Int32], axis: Int?) {
        self.scales = scales
        self.zeroPoints = zeroPoints
        self.axis = axis
    }

    package var isPerTensor: Bool { axis == nil }

    /// The grid of a layer's sums, and of its bias, for weights on this grid: zero at 0.
    package func ofSums(input: Float) -> AffineQuantization {
        AffineQuantization(
            scales: scales.map { Float(Double($0) * Double(input)) }, zeroPoints: scales.map { _ in 0 }, axis: axis)
    }

    /// The scale of a per-tensor quantisation (the first one otherwise).
    package var scale: Float { scales.first ?? 1 }
    /// The zero point of a per-tensor quantisation (the first one otherwise).
    package var zeroPoint: Int32 { zeroPoints.first ?? 0 }
}

/// How the stored numbers of a tensor stand for real numbers.
package enum Encoding: Sendable, Hashable {
    /// They are the numbers.
    case plain
    /// Integers on an affine grid.
    case affine(AffineQuantization)

    package var affine: AffineQuantization? {
        if case .affine(let quantization) = self { quantization } else { nil }
    }
}
