/// Reading between the places of a grid, as GridSample and deformable convolutions do.
package struct GridSampling: Sendable, Hashable {
    package enum Interpolation: UInt8, Sendable, Hashable { case nearest = 0, linear = 1, cubic = 2 }
    /// What lies outside: zeros, the nearest edge, or the data mirrored at the edges of the outer pixels
    /// (`mirrorEdge`) or at their centres (`mirrorCentre`).
    package enum Border: UInt8, Sendable, Hashable { case zeros = 0, edge = 1, mirrorEdge = 2, mirrorCentre = 3 }
    package var interpolation: Interpolation
    package var border: Border

    package init(_ interpolation: Interpolation, border: Border) {
        self.interpolation = interpolation
        self.border = border
    }
}

/// Pooling of regions between pixels (Mask R-CNN).
package struct RoiAlignment: Sendable, Hashable {
    package var kind: Pooling.Kind
    package var height: Int
    package var width: Int
    /// Samples for each bin and axis; 0: as many as its size in pixels, rounded up.
    package var samplingRatio: Int
    /// What a unit of the regions is in pixels.
    package var scale: Float
    /// Pixels have their centre at half a unit.
    package var isHalfPixel: Bool

    package init(kind: Pooling.Kind, height: Int, width: Int, samplingRatio: Int, scale: Float, isHalfPixel: Bool) {
        self.kind = kind
        self.height = height
        self.width = width
        self.samplingRatio = samplingRatio
        self.scale = scale
        self.isHalfPixel = isHalfPixel
    }
}

/// Which boxes remain when those that overlap a better one of their class go.
package struct NonMaxSuppression: Sendable, Hashable {
    /// Most boxes of each class.
    package var limit: Int
    package var overlap: Float
    package var leastScore: Float
    /// Boxes are centre x, centre y, width, height; else two opposite corners y, x, y, x.
    package var isCentred: Bool

    package init(limit: Int, overlap: Float, leastScore: Float, isCentred: Bool) {
        self.limit = limit
        self.overlap = overlap
        self.leastScore = leastScore
        self.isCentred = isCentred
    }
}

/// The different slices along an axis (nil: the different numbers), in order of size or of appearance.
package struct Distinct: Sendable, Hashable {
    package enum Part: UInt8, Sendable, Hashable {
        /// Where each appears first; padded with -1.
        case first = 0
        /// For each slice, which one it is.
        case inverse = 1
        /// How often each appears; padded with 0.
        case counts = 2
    }
    package var axis: Int?
    package var isSorted: Bool
    package var part: Part

    package init(axis: Int?, isSorted: Bool, part: Part) {
        self.axis = axis
        self.isSorted = isSorted
        self.part = part
    }
}

/// Decision trees over the features of each row.
///
/// Inputs: x `[N, features]`; nodes `[count, 5]` (int64): feature, `Rule`, the place to go where it holds, the place where it
/// does not, whether a missing number counts as holding; thresholds `[count]` (float64); roots `[trees]` (int64, places);
/// leaves `[count]` (int64, where the entries of each leaf begin, and the end of the last); targets `[entries]` (int64);
/// weights `[entries]` (float64). A place below 0 is the leaf `-1 - place`. Output: float32 `[N, targets]`.
package struct TreeEnsemble: Sendable, Hashable {
    package enum Aggregate: UInt8, Sendable, Hashable { case sum = 0, average = 1, minimum = 2, maximum = 3 }
    package enum Rule: Int, Sendable, Hashable {
        case lessOrEqual = 0, less = 1, greaterOrEqual = 2, greater = 3, equal = 4, notEqual = 5
    }
    package var aggregate: Aggregate
    package var targets: Int

    package init(aggregate: Aggregate, targets: Int) {
        self.aggregate = aggregate
        self.targets = targets
    }
}
