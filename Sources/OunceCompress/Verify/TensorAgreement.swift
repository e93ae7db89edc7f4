import OunceGraph

/// When an output counts as the expected one: ONNX's own tolerances for floats, every bit for anything else.
package struct TensorAgreement: Sendable {
    package var relative = 1e-3
    package var absolute = 1e-7
    /// How far integers may lie apart.
    package var steps = 0

    package init() {}

    /// The first difference in words; nil where there is none.
    package func difference(_ actual: Tensor, _ expected: Tensor) -> String? {
        guard actual.dtype == expected.dtype else { return "it is \(actual.dtype), expected \(expected.dtype)" }
        guard actual.shape == expected.shape else { return "it has shape \(actual.shape), expected \(expected.shape)" }
        guard actual.dtype.isFloat else {
            guard !actual.bytes.elementsEqual(expected.bytes) else { return nil }
            for (place, (a, e)) in zip(actual.doubles(), expected.doubles()).enumerated()
            where abs(a - e) > Double(steps) {
                return text(at: place, of: actual.shape, a, e)
            }
            return nil
        }
        for (place, (a, e)) in zip(actual.doubles(), expected.doubles()).enumerated() {
            let agrees = a == e || (a.isNaN && e.isNaN) || abs(a - e) <= absolute + relative * abs(e)
            if !agrees { return text(at: place, of: actual.shape, a, e) }
        }
        return nil
    }

    private func text(at place: Int, of shape: Shape, _ actual: Double, _ expected: Double) -> String {
        let index = zip(shape.strides, shape.dims).map { place / max($0, 1) % max($1, 1) }
        return "at \(index) it is \(actual), expected \(expected)"
    }
}
