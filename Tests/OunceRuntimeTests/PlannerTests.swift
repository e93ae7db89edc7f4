import OunceGraph
import OunceRuntime
import OunceTestSupport
import Testing

/// Placing buffers in the arena.
@Suite struct PlannerTests {
    private func randomBuffers(_ random: inout RandomSource, steps: Int) -> [PlannedBuffer] {
        (0..<random.int(1...60)).map { _ in
            let first = random.int(0...(steps - 1))
            let last = random.int(first...min(steps - 1, first + random.int(0...8)))
            return PlannedBuffer(byteCount: random.int(1...5000), firstStep: first, lastStep: last)
        }
    }

    @Test func buffersAliveTogetherNeverOverlap() {
        print("seeds 0..<400")
        for seed in UInt64(0)..<400 {
            var random = RandomSource(seed: seed)
            let steps = random.int(1...40)
            var buffers = randomBuffers(&random, steps: steps)
            guard let size = MemoryPlanner.plan(&buffers) else {
                Issue.record("no plan, seed \(seed)")
                continue
            }
            for (i, a) in buffers.enumerated() {
                #expect(a.offset >= 0 && a.offset % MemoryPlanner.alignment == 0)
                #expect(a.offset + a.byteCount + TensorStorage.slack <= size, "seed \(seed)")
                for b in buffers[(i + 1)...] where a.firstStep <= b.lastStep && b.firstStep <= a.lastStep {
                    let apart =
                        a.offset + a.byteCount + TensorStorage.slack <= b.offset
                        || b.offset + b.byteCount + TensorStorage.slack <= a.offset
                    #expect(apart, "seed \(seed)")
                }
            }
            let padded = buffers.map(\.paddedByteCount)
            #expect(size <= padded.reduce(0, +), "seed \(seed)")
            let peak = (0..<steps).map { step in
                buffers.filter { $0.firstStep <= step && step <= $0.lastStep }.reduce(0) { $0 + $1.byteCount }
            }.max()
            #expect(size >= peak ?? 0, "seed \(seed)")
        }
    }

    @Test func memoryIsUsedAgain() throws {
        // A chain: at any time one input and one output are alive.
        var chain = (0..<20).map { PlannedBuffer(byteCount: 1000, firstStep: $0, lastStep: $0 + 1) }
        let size = try #require(MemoryPlanner.plan(&chain))
        #expect(size == 2 * chain[0].paddedByteCount)
    }

    /// Chains with skip connections, as networks have them.
    private func chain(_ random: inout RandomSource, steps: Int) -> [PlannedBuffer] {
        (0..<steps).map { step in
            let skips = random.int(0...3) == 0 ? random.int(1...4) : 0
            return PlannedBuffer(
                byteCount: random.int(1...64) * 1024, firstStep: step, lastStep: min(steps, step + 1 + skips))
        }
    }

    /// What is alive at a time bounds the arena from below, but cannot always be reached.
    @Test func wastesLittle() throws {
        print("seeds 0..<200")
        var wasteful = 0
        for seed in UInt64(0)..<200 {
            var random = RandomSource(seed: seed)
            var buffers = chain(&random, steps: random.int(4...60))
            let least = try #require(MemoryPlanner.leastBytes(of: buffers))
            let size = try #require(MemoryPlanner.plan(&buffers))
            #expect(size >= least, "seed \(seed)")
            if Double(size) > 1.1 * Double(least) { wasteful += 1 }
        }
        #expect(wasteful <= 6, "\(wasteful) of 200 take over 1.1 times what is alive")
    }

    /// Some order of placing each buffer as low as it goes gives the smallest arena that there is.
    private func smallestArena(_ buffers: [PlannedBuffer], placed: [(PlannedBuffer, Int)] = []) -> Int {
        guard !buffers.isEmpty else { return placed.map { $0.0.paddedByteCount + $0.1 }.max() ?? 0 }
        return buffers.indices.map { index in
            var rest = buffers
            let next = rest.remove(at: index)
            let rivals = placed.filter { $0.0.firstStep <= next.lastStep && next.firstStep <= $0.0.lastStep }
            let places = [0] + rivals.map { $0.1 + $0.0.paddedByteCount }
            let lowest = places.sorted().first { place in
                rivals.allSatisfy { place + next.paddedByteCount <= $0.1 || $0.1 + $0.0.paddedByteCount <= place }
            }
            return smallestArena(rest, placed: placed + [(next, lowest ?? 0)])
        }.min() ?? 0
    }

    @Test func isNearTheSmallest() throws {
        print("seeds 0..<60")
        for seed in UInt64(0)..<60 {
            var random = RandomSource(seed: seed)
            var buffers = chain(&random, steps: random.int(3...6))
            let smallest = smallestArena(buffers)
            let size = try #require(MemoryPlanner.plan(&buffers))
            #expect(size >= smallest, "seed \(seed)")
            #expect(Double(size) <= 1.1 * Double(smallest), "seed \(seed): \(size) bytes where \(smallest) suffice")
        }
    }

    @Test func refusesWhatNoAddressSpaceHolds() {
        var buffers = (0..<3).map { _ in PlannedBuffer(byteCount: .max / 2, firstStep: 0, lastStep: 0) }
        #expect(MemoryPlanner.plan(&buffers) == nil)
        var one = [PlannedBuffer(byteCount: .max, firstStep: 0, lastStep: 0)]
        #expect(MemoryPlanner.plan(&one) == nil || one[0].offset == 0)
    }
}
