import OunceGraph

/// Where the bytes of a step's operand lie.
enum Operand: Sendable {
    /// In the session's arena: the index of a planned buffer, and bytes from its start.
    case buffer(Int, offset: Int = 0)
    /// A constant of the plan, such as a weight that a generic step reads as it is.
    case constant(Tensor)

    /// The operand from so many bytes on.
    func offset(by bytes: Int) throws(RuntimeError) -> Operand {
        switch self {
        case .buffer(let index, let offset): return .buffer(index, offset: offset + bytes)
        case .constant where bytes == 0: return self
        case .constant: throw RuntimeError(.unsupported, "a constant within padding")
        }
    }
}

/// A piece of the arena, needed from one step to another.
package struct PlannedBuffer: Sendable {
    package var byteCount: Int
    /// Indices of the first step that writes and the last that reads it (both inclusive).
    package var firstStep: Int
    package var lastStep: Int
    /// Bytes from the arena's start; set by the memory planner.
    package var offset = 0

    package init(byteCount: Int, firstStep: Int, lastStep: Int) {
        self.byteCount = byteCount
        self.firstStep = firstStep
        self.lastStep = lastStep
    }

    /// What the arena holds for it: room for kernels to read past its end, and a whole number of cache lines.
    package var paddedByteCount: Int {
        let (sum, overflow) = byteCount.addingReportingOverflow(TensorStorage.slack + MemoryPlanner.alignment - 1)
        return overflow ? .max : sum / MemoryPlanner.alignment * MemoryPlanner.alignment
    }

    fileprivate func isAlive(with other: PlannedBuffer) -> Bool {
        firstStep <= other.lastStep && other.firstStep <= lastStep
    }
}

/// Places buffers in the arena so that those that live at the same time never overlap.
package enum MemoryPlanner {
    package static let alignment = 64

    /// Sets the offsets and returns the arena's size in bytes; nil where it would overflow.
    ///
    /// Each buffer takes the lowest gap that holds it, in several orders (greedy by size and by breadth: Pisarchyk and Lee 2020,
    /// "Efficient Memory Management for Deep Neural Net Inference"). Where room is wasted, the buffer that ends highest goes
    /// first in another try. The smallest arena wins.
    package static func plan(_ buffers: inout [PlannedBuffer]) -> Int? {
        guard let least = leastBytes(of: buffers) else { return nil }
        var best: (size: Int, offsets: [Int], order: [Int])?
        func attempt(_ order: [Int]) -> [Int]? {
            guard let (size, offsets) = place(buffers, order) else { return nil }
            if best.map({ size < $0.size }) ?? true { best = (size, offsets, order) }
            return offsets
        }
        for order in Order.allCases where best.map({ $0.size > least }) ?? true {
            _ = attempt(order.indices(of: buffers))
        }
        guard var order = best?.order, var offsets = best?.offsets else { return nil }
        for _ in 0..<min(mostTries, mostComparisons / max(buffers.count * buffers.count, 1)) {
            guard let size = best?.size, size > least,
                let highest = order.indices.max(by: { end(order[$0]) < end(order[$1]) })
            else { break }
            order.insert(order.remove(at: highest), at: 0)
            guard let placed = attempt(order) else { break }
            offsets = placed
        }
        func end(_ index: Int) -> Int { offsets[index] + buffers[index].paddedByteCount }
        guard let best else { return nil }
        for (index, offset) in best.offsets.enumerated() { buffers[index].offset = offset }
        return best.size
    }

    private static let mostTries = 64
    /// Of buffers with buffers in all tries together: a few milliseconds.
    private static let mostComparisons = 1 << 18

    /// The most bytes that are alive at a time, which no arena can be smaller than; nil where they would overflow.
    package static func leastBytes(of buffers: [PlannedBuffer]) -> Int? {
        var changes: [(step: Int, bytes: Int)] = []
        for buffer in buffers {
            changes.append((buffer.firstStep, buffer.paddedByteCount))
            changes.append((buffer.lastStep &+ 1, -buffer.paddedByteCount))
        }
        // What ends at a step makes room before what begins.
        changes.sort { ($0.step, $0.bytes) < ($1.step, $1.bytes) }
        var (alive, most) = (0, 0)
        for change in changes {
            let (sum, overflow) = alive.addingReportingOverflow(change.bytes)
            guard !overflow else { return nil }
            alive = sum
            most = max(most, sum)
        }
        return most
    }

    private enum Order: CaseIterable {
        case bySize, byBreadth, byLifetime

        func indices(of buffers: [PlannedBuffer]) -> [Int] {
            let bySize = buffers.indices.sorted { buffers[$0].byteCount > buffers[$1].byteCount }
            switch self {
            case .bySize: return bySize
            case .byLifetime:
                func lifetime(_ index: Int) -> Int { buffers[index].lastStep - buffers[index].firstStep }
                return bySize.sorted { lifetime($0) > lifetime($1) }
            case .byBreadth:
                // The buffers of the fullest step first.
                let steps = (buffers.map(\.lastStep).max() ?? -1) + 1
                guard steps <= 1 << 12 else { return bySize }
                var full = [Double](repeating: 0, count: steps)
                for buffer in buffers {
                    for step in buffer.firstStep...buffer.lastStep { full[step] += Double(buffer.byteCount) }
                }
                let breadth = buffers.map { full[$0.firstStep...$0.lastStep].max() ?? 0 }
                return bySize.sorted { breadth[$0] > breadth[$1] }
            }
        }
    }

    private static func place(_ buffers: [PlannedBuffer], _ order: [Int]) -> (size: Int, offsets: [Int])? {
        /// By offset.
        var placed: [PlannedBuffer] = []
        var offsets = [Int](repeating: 0, count: buffers.count)
        var size = 0
        for index in order {
            var buffer = buffers[index]
            let bytes = buffer.paddedByteCount
            var offset = 0
            for other in placed where other.isAlive(with: buffer) {
                if other.offset >= offset, other.offset - offset >= bytes { break }
                offset = max(offset, other.offset + other.paddedByteCount)
            }
            let (end, overflow) = offset.addingReportingOverflow(bytes)
            guard !overflow else { return nil }
            buffer.offset = offset
            offsets[index] = offset
            size = max(size, end)
            placed.insert(buffer, at: placed.firstIndex { $0.offset > offset } ?? placed.count)
        }
        return (size, offsets)
    }
}
