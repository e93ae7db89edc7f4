import OunceGraph

/// Memory of a training program: a piece of its arena, alive from one point of a pass to another, or memory of its own.
///
/// Points number the steps forward, then the loss, then the steps backward.
final class TrainBuffer {
    let byteCount: Int
    /// Keeps its content from pass to pass: parameters, their gradients, what a step stores for itself.
    let isPersistent: Bool
    private(set) var firstUse = Int.max
    private(set) var lastUse = -1
    private(set) var raw: UnsafeMutableRawPointer

    nonisolated(unsafe) static let empty = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 64)

    /// In the arena.
    init(planned byteCount: Int) {
        self.byteCount = byteCount
        isPersistent = false
        raw = Self.empty
    }

    /// Own memory, zeroed.
    init(persistent byteCount: Int) {
        self.byteCount = byteCount
        isPersistent = true
        let bytes = byteCount + TensorStorage.slack
        raw = .allocate(byteCount: bytes, alignment: 64)
        raw.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
    }

    deinit { if isPersistent { raw.deallocate() } }

    var floats: UnsafeMutablePointer<Float> { raw.assumingMemoryBound(to: Float.self) }

    func use(at point: Int) {
        firstUse = min(firstUse, point)
        lastUse = max(lastUse, point)
    }

    func place(at address: UnsafeMutableRawPointer) { raw = address }

    func zero() { raw.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount) }
}
