import OunceGraph

/// Where the bytes of a step's operand lie.
enum Operand: Sendable {
    /// In the session's arena: the index of a planned buffer.
    case buffer(Int)
    /// A constant of the plan, such as a weight that a generic step reads as it is.
    case constant(Tensor)
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

/// Places buffers in the arena so that those that live at the same time never overlap: largest first, each in the lowest gap
/// that takes it (greedy by size, arXiv 2001.03288).
package enum MemoryPlanner {
    package static let alignment = 64

    /// Sets the offsets and returns the arena's size in bytes; nil where it would overflow.
    package static func plan(_ buffers: inout [PlannedBuffer]) -> Int? {
        /// By offset.
        var placed: [PlannedBuffer] = []
        var size = 0
        for index in buffers.indices.sorted(by: { buffers[$0].byteCount > buffers[$1].byteCount }) {
            let bytes = buffers[index].paddedByteCount
            var offset = 0
            for other in placed where other.isAlive(with: buffers[index]) {
                if other.offset >= offset, other.offset - offset >= bytes { break }
                offset = max(offset, other.offset + other.paddedByteCount)
            }
            let (end, overflow) = offset.addingReportingOverflow(bytes)
            guard !overflow else { return nil }
            buffers[index].offset = offset
            size = max(size, end)
            placed.insert(buffers[index], at: placed.firstIndex { $0.offset > offset } ?? placed.count)
        }
        return size
    }
}
