import OunceGraph

/// Small random changes of samples that leave their meaning alone.
package struct Augmentation: Sendable, Hashable {
    /// Images move by up to this many pixels, with zeros (or the nearest border) behind.
    package var shift: Int
    package var repeatsBorder: Bool
    package var flip: Bool
    /// Deviation of added noise, in parts of the sample's own deviation.
    package var noise: Float
    /// Up to this many steps of time become zero.
    package var timeMask: Int
    /// Samples, and their labels, are blended with others (arXiv 1710.09412): the other's share is drawn from a beta
    /// distribution with both parameters of this size, and is at most a half; 0: they are not.
    package var mixup: Float

    package init(
        shift: Int = 0, repeatsBorder: Bool = false, flip: Bool = false, noise: Float = 0, timeMask: Int = 0,
        mixup: Float = 0
    ) {
        self.shift = shift
        self.repeatsBorder = repeatsBorder
        self.flip = flip
        self.noise = noise
        self.timeMask = timeMask
        self.mixup = mixup
    }

    package static let none = Augmentation()
    package var isNone: Bool { self == .none }

    /// Where height, width and time lie in a sample without its batch axis; nil: there is no such axis.
    package struct Axes: Sendable, Hashable {
        package var height: Int?
        package var width: Int?
        package var time: Int?
        package init(height: Int?, width: Int?, time: Int?) {
            self.height = height
            self.width = width
            self.time = time
        }

        /// What the extents suggest: three axes are an image, the one of 1, 3 or 4 its channels (the last where both ends
        /// could be); two are time and features; the longer of the two axes of a one-channel image may be time.
        package static func guess(_ sample: [Int]) -> Axes {
            switch sample.count {
            case 3:
                let isLast = [1, 3, 4].contains(sample[2]) || ![1, 3, 4].contains(sample[0])
                let height = isLast ? 0 : 1
                return Axes(height: height, width: height + 1, time: height)
            case 2: return Axes(height: nil, width: 0, time: 0)
            case 1: return Axes(height: nil, width: 0, time: 0)
            default: return Axes(height: nil, width: nil, time: nil)
            }
        }
    }

    /// Copies a sample, changed.
    func apply(
        _ source: UnsafePointer<Float>, to target: UnsafeMutablePointer<Float>, shape: [Int], axes: Axes,
        random: inout SplitMix
    ) {
        let count = shape.reduce(1, *)
        let strides = Shape(shape).strides
        let dy = axes.height != nil && shift > 0 ? random.below(2 * shift + 1) - shift : 0
        let dx = axes.width != nil && shift > 0 ? random.below(2 * shift + 1) - shift : 0
        let mirrored = flip && random.below(2) == 1
        if dy == 0, dx == 0, !mirrored {
            target.update(from: source, count: count)
        } else {
            move(source, to: target, shape: shape, strides: strides, axes: axes, by: (dy, dx), mirrored: mirrored)
        }
        if let time = axes.time, timeMask > 0 {
            let length = random.below(timeMask + 1)
            let start = random.below(max(1, shape[time] - length + 1))
            for place in 0..<count where (start..<start + length).contains(place / strides[time] % shape[time]) {
                target[place] = 0
            }
        }
        if noise > 0 {
            var (sum, squares) = (0.0, 0.0)
            for i in 0..<count {
                sum += Double(target[i])
                squares += Double(target[i]) * Double(target[i])
            }
            let mean = sum / Double(max(count, 1))
            let deviation = Float(max(0, squares / Double(max(count, 1)) - mean * mean).squareRoot()) * noise
            for i in 0..<count { target[i] += deviation * random.normal() }
        }
    }

    /// Who a sample is blended with.
    struct Blend: Hashable {
        var sample: Int
        /// Of the other sample; at most a half.
        var share: Float
    }

    /// - Parameter count: samples that there are.
    func blend(of count: Int, random: inout SplitMix) -> Blend? {
        guard mixup > 0 else { return nil }
        let share = random.beta(mixup)
        return Blend(sample: random.below(count), share: min(share, 1 - share))
    }

    private func move(
        _ source: UnsafePointer<Float>, to target: UnsafeMutablePointer<Float>, shape: [Int], strides: [Int],
        axes: Axes, by offset: (Int, Int), mirrored: Bool
    ) {
        for place in 0..<shape.reduce(1, *) {
            var from = place
            var isInside = true
            func shifted(_ axis: Int?, _ by: Int, _ mirror: Bool) {
                guard let axis else { return }
                let at = place / strides[axis] % shape[axis]
                var wanted = (mirror ? shape[axis] - 1 - at : at) + by
                if !(0..<shape[axis]).contains(wanted) {
                    isInside = isInside && repeatsBorder
                    wanted = min(max(wanted, 0), shape[axis] - 1)
                }
                from += (wanted - at) * strides[axis]
            }
            shifted(axes.height, offset.0, false)
            shifted(axes.width, offset.1, mirrored)
            target[place] = isInside ? source[from] : 0
        }
    }
}
