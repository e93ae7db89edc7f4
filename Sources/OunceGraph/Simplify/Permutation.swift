/// Helpers on permutations of axes: output axis `i` is input axis `self[i]`.
extension Array where Element == Int {
    /// The permutation that undoes this one.
    package var inverted: [Int] {
        var inverse = self
        for (output, input) in enumerated() { inverse[input] = output }
        return inverse
    }

    /// Whether applied to `shape` only axes of extent 1 change their places relative to the others.
    package func movesOnlyUnits(of shape: Shape) -> Bool {
        let moved = filter { shape[$0] != 1 }
        return moved == moved.sorted()
    }
}

extension Node {
    /// The permutation where this is a transpose.
    var permutation: [Int]? {
        if case .transpose(let permutation) = op { permutation } else { nil }
    }
}
