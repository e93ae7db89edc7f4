import OunceGraph
import OunceRuntime

extension Dataset {
    /// These samples and, behind them, copies with noise, as often with its negative, so that means stay: few samples lie in
    /// few directions, and what is made for nothing but them fits others badly. As it is where there are many, or samples
    /// differ in shape or are sequences.
    ///
    /// - Parameters:
    ///   - wanted: about so many samples; at most eight copies of each.
    ///   - share: of the noise, in parts of each element's deviation over the samples.
    func withNoisyCopies(wanted: Int, share: Double) throws(CompressError) -> Dataset {
        let copies = min(8, wanted / max(count, 1) - 1) & ~1
        guard copies > 0, count > 1, windows == 1 else { return self }
        var samples: [[Tensor]] = []
        for index in 0..<count { samples.append(try sample(index)) }
        guard let first = samples.first,
            samples.allSatisfy({ zip($0, first).allSatisfy { $0.shape == $1.shape && $0.dtype == $1.dtype } })
        else { return self }
        var arrays: [Tensor] = []
        for (place, example) in first.enumerated() {
            let size = example.byteCount
            let (bytes, overflow) = size.multipliedReportingOverflow(by: count * (copies + 1))
            guard !overflow, bytes <= 1 << 30 else { return self }
            let deviations = example.dtype == .float32 ? Self.deviations(samples.map { $0[place].floats() }) : []
            let storage = TensorStorage(byteCount: bytes) { target in
                for index in 0..<count * (copies + 1) {
                    let source = samples[index % count][place]
                    let start = index * size
                    UnsafeMutableRawBufferPointer(rebasing: target[start..<start + size])
                        .copyMemory(from: source.bytes)
                    guard index >= count, !deviations.isEmpty else { continue }
                    let pair = (index / count - 1) / 2
                    let factor = (index / count) % 2 == 0 ? -share : share
                    var noise = GaussianNoise(seed: UInt64((pair * count + index % count) &* 64 &+ place))
                    for (element, value) in source.floats().enumerated() where deviations[element] > 0 {
                        let noisy = value + Float(factor * deviations[element] * noise.next())
                        target.storeBytes(of: noisy, toByteOffset: start + 4 * element, as: Float.self)
                    }
                }
            }
            guard
                let array = Tensor(
                    dtype: example.dtype, shape: Shape([count * (copies + 1)] + example.shape.dims), storage: storage)
            else { return self }
            arrays.append(array)
        }
        return Dataset(made: arrays, inputs: inputs, hash: "\(hash) with \(copies) noisy copies")
    }

    private static func deviations(_ samples: [[Float]]) -> [Double] {
        let size = samples.first?.count ?? 0
        var (sums, squares) = ([Double](repeating: 0, count: size), [Double](repeating: 0, count: size))
        for sample in samples {
            for (element, value) in sample.enumerated() where value.isFinite {
                sums[element] += Double(value)
                squares[element] += Double(value) * Double(value)
            }
        }
        let count = Double(max(samples.count, 1))
        return zip(sums, squares).map { max($1 / count - ($0 / count) * ($0 / count), 0).squareRoot() }
    }
}
