import OunceGraph

/// Where the bytes of a step's operand lie.
enum Operand: Sendable {
    /// In the session's arena: the index of a planned buffer.
    case buffer(Int)
    /// A constant of the plan, such as a weight that a generic step reads as it is.
    case constant(Tensor)
}

/// A piece of the arena, needed from one step to another.
struct PlannedBuffer: Sendable {
    var byteCount: Int
    /// Indices of the first step that writes and the last that reads it (both inclusive).
    var firstStep: Int
    var lastStep: Int
    /// Bytes from the arena's start; set by the memory planner.
    var offset = 0
}

/// Places buffers in the arena so that those that live at the same time never overlap: largest first, each in the lowest gap
/// that takes it (greedy by size, arXiv 2001.03288).
enum MemoryPlanner {
    static let alignment = 64

    /// Sets the offsets and returns the arena's size in bytes; nil where it would overflow.
    static func plan(_ buffers: inout [PlannedBuffer], steps: Int) -> Int? {
        var placedAt = [[Int]](repeating: [], count: max(steps, 1))
        var size = 0
        for index in buffers.indices.sorted(by: { buffers[$0].byteCount > buffers[$1].byteCount }) {
            let buffer = buffers[index]
            let (padded, overflow) = buffer.byteCount.addingReportingOverflow(
                TensorStorage.slack + alignment - 1)
            guard !overflow else { return nil }
            let bytes = padded / alignment * alignment
            var neighbours: Set<Int> = []
            for step in buffer.firstStep...max(buffer.firstStep, buffer.lastStep) {
                neighbours.formUnion(placedAt[step])
            }
            var offset = 0
            for other in neighbours.map({ buffers[$0] }).sorted(by: { $0.offset < $1.offset }) {
                if other.offset >= offset + bytes { break }
                offset = max(offset, other.offset + paddedBytes(other))
            }
            let (end, tooLarge) = offset.addingReportingOverflow(bytes)
            guard !tooLarge else { return nil }
            buffers[index].offset = offset
            size = max(size, end)
            for step in buffer.firstStep...max(buffer.firstStep, buffer.lastStep) { placedAt[step].append(index) }
        }
        return size
    }

    private static func paddedBytes(_ buffer: PlannedBuffer) -> Int {
        (buffer.byteCount + TensorStorage.slack + alignment - 1) / alignment * alignment
    }
}
