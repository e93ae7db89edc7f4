import OunceGraph

/// A value of the graph in a training program: its numbers and, where it has one, the gradient of the loss.
final class Slot {
    let name: String
    let type: TensorType
    let value: TrainBuffer
    /// nil: the loss does not depend on anything trainable through it.
    private(set) var gradient: TrainBuffer?
    let isParameter: Bool
    /// Set while the backward pass is laid out: something writes the gradient.
    var hasGradientWriter = false

    init(name: String, type: TensorType, isParameter: Bool = false, isPersistent: Bool = false, needsGradient: Bool) {
        self.name = name
        self.type = type
        self.isParameter = isParameter
        let bytes = (type.shape.elementCount ?? 0) * type.dtype.byteSize
        let persistent = isPersistent || isParameter
        value = persistent ? TrainBuffer(persistent: bytes) : TrainBuffer(planned: bytes)
        if needsGradient {
            gradient = isParameter ? TrainBuffer(persistent: bytes) : TrainBuffer(planned: bytes)
        }
    }

    var shape: Shape { type.shape }
    var count: Int { type.shape.elementCount ?? 0 }
    var needsGradient: Bool { gradient != nil }
    var x: UnsafeMutablePointer<Float> { value.floats }
    /// The gradient; for slots that have one.
    var dx: UnsafeMutablePointer<Float> { gradient?.floats ?? TrainBuffer.empty.assumingMemoryBound(to: Float.self) }
}

/// Where a step puts the gradient of one of its inputs.
final class GradientTarget {
    let slot: Slot
    /// Another step has written there before: add. Gradients of parameters are always added to.
    var accumulates: Bool

    /// nil where the slot wants no gradient.
    init?(_ slot: Slot?) {
        guard let slot, slot.needsGradient else { return nil }
        self.slot = slot
        accumulates = slot.isParameter
    }

    var dx: UnsafeMutablePointer<Float> { slot.dx }
    var flag: Int32 { accumulates ? 1 : 0 }

    /// For steps that can only add.
    func zeroUnlessAccumulating() { if !accumulates { slot.gradient?.zero() } }
}
