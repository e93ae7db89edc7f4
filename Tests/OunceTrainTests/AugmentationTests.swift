import Testing

@testable import OunceTrain

@Suite struct AugmentationTests {
    private func apply(_ augmentation: Augmentation, seed: UInt64, _ sample: [Float], _ shape: [Int]) -> [Float] {
        var result = [Float](repeating: -1, count: sample.count)
        var random = SplitMix(seed: seed)
        result.withUnsafeMutableBufferPointer { target in
            sample.withUnsafeBufferPointer { source in
                guard let from = source.baseAddress, let to = target.baseAddress else { return }
                augmentation.apply(from, to: to, shape: shape, axes: .guess(shape), random: &random)
            }
        }
        return result
    }

    /// Every result is one of the shifted, mirrored images, and in time all of them are seen.
    @Test(arguments: [[4, 5, 3], [3, 4, 5]]) func shiftAndFlip(_ shape: [Int]) {
        let isLast = shape[2] == 3
        let (height, width) = isLast ? (shape[0], shape[1]) : (shape[1], shape[2])
        func place(_ y: Int, _ x: Int, _ c: Int) -> Int {
            isLast ? (y * width + x) * 3 + c : (c * height + y) * width + x
        }
        let sample = (0..<60).map { Float($0 + 1) }
        var possible: Set<[Float]> = []
        for dy in -1...1 {
            for dx in -1...1 {
                for mirrored in [false, true] {
                    var image = [Float](repeating: 0, count: 60)
                    for y in 0..<height {
                        for x in 0..<width {
                            let (fromY, fromX) = (y + dy, (mirrored ? width - 1 - x : x) + dx)
                            guard (0..<height).contains(fromY), (0..<width).contains(fromX) else { continue }
                            for c in 0..<3 { image[place(y, x, c)] = sample[place(fromY, fromX, c)] }
                        }
                    }
                    possible.insert(image)
                }
            }
        }
        let seen = Set((1...300).map { apply(Augmentation(shift: 1, flip: true), seed: $0, sample, shape) })
        #expect(seen == possible)
    }

    @Test func noiseAndTimeMask() {
        let sample = (0..<200).map { Float($0 % 20) }
        let noisy = apply(Augmentation(noise: 0.1), seed: 3, sample, [10, 20])
        let difference = zip(noisy, sample).map { $0 - $1 }
        let deviation = (difference.reduce(0) { $0 + $1 * $1 } / 200).squareRoot()
        #expect((0.4...0.75).contains(deviation), "deviation \(deviation) for a tenth of 5.77")
        let masked = apply(Augmentation(timeMask: 4), seed: 5, sample.map { $0 + 1 }, [10, 20])
        let empty = (0..<10).filter { row in masked[row * 20..<row * 20 + 20].allSatisfy { $0 == 0 } }
        #expect(empty.count <= 4 && empty == Array((empty.first ?? 0)..<(empty.first ?? 0) + empty.count))
        #expect(apply(.none, seed: 1, sample, [10, 20]) == sample)
    }

    @Test func streamShowsEverySampleOncePerEpoch() {
        var stream = SampleStream(count: 13, seed: 4)
        let first = (0..<13).map { stream.sample(at: $0) }
        let second = (13..<26).map { stream.sample(at: $0) }
        #expect(first.sorted() == Array(0..<13) && second.sorted() == Array(0..<13) && first != second)
        #expect((0..<13).map { stream.sample(at: $0) } == first)
    }
}
