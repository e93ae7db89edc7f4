import COunceKernels
import OunceGraph

/// Parameters of a step: a C structure of its family, or the structure of a generic loop, at an address that stays.
final class StepParameters: @unchecked Sendable {
    let pointer: UnsafeMutableRawPointer
    /// What the structure points into.
    private let owned: [Tensor]
    private let destroy: (UnsafeMutableRawPointer) -> Void

    init<T>(_ value: T, owning: [Tensor] = []) {
        let typed = UnsafeMutablePointer<T>.allocate(capacity: 1)
        typed.initialize(to: value)
        pointer = UnsafeMutableRawPointer(typed)
        owned = owning
        destroy = { raw in
            let typed = raw.assumingMemoryBound(to: T.self)
            typed.deinitialize(count: 1)
            typed.deallocate()
        }
    }

    deinit { destroy(pointer) }
}

/// The constants that a convolution packs when its kernel is chosen.
struct StepWeights: Sendable {
    var weights: Tensor
    var bias: Tensor?
    var scale: Tensor?

    /// Calls `body` with the constants of some output channels, nil: of all. They are valid during the call only.
    func withPointers<R>(
        channels: Range<Int>? = nil, _ body: (UnsafePointer<ounce_conv_weights>) -> R
    ) -> R {
        let count = max(weights.shape.rank == 0 ? 1 : weights.shape[0], 1)
        let channels = channels ?? 0..<count
        let row = weights.byteCount / count
        let range = channels.lowerBound * row..<channels.upperBound * row
        return weights.storage.withBytes(channels.count == count ? nil : range) { bytes in
            Self.aligned(bytes, to: weights.dtype.byteSize) { bytes in
                func start(_ tensor: Tensor?) -> UnsafeRawPointer? {
                    tensor.flatMap { tensor in
                        tensor.storage.paddedBytes.baseAddress.map { $0 + channels.lowerBound * tensor.dtype.byteSize }
                    }
                }
                var pointers = ounce_conv_weights(
                    weights: bytes.baseAddress, bias: start(bias),
                    scale: start(scale)?.assumingMemoryBound(to: Float.self)
                )
                return withUnsafePointer(to: &pointers, body)
            }
        }
    }

    /// Files may hold numbers anywhere; kernels take them at multiples of their size.
    private static func aligned<R>(
        _ bytes: UnsafeRawBufferPointer, to size: Int, _ body: (UnsafeRawBufferPointer) -> R
    ) -> R {
        guard let start = bytes.baseAddress, UInt(bitPattern: start) % UInt(size) != 0 else { return body(bytes) }
        let copy = TensorStorage(byteCount: bytes.count) { $0.copyMemory(from: bytes) }
        return withExtendedLifetime(copy) { body(copy.bytes) }
    }
}

/// One step before its kernel is chosen.
struct LoweredStep: Sendable {
    enum Work: Sendable {
        /// A family of the kernel table.
        case kernel(ounce_family)
        /// A plain loop for an operator that is never hot.
        case generic(name: String, run: GenericStep)
    }
    /// The node in the user's framework that this step belongs to.
    var node: String
    var work: Work
    var parameters: StepParameters
    var weights: StepWeights?
    /// nil: an optional input that is not given.
    var inputs: [Operand?]
    var output: Int
    /// Bytes from the output buffer's start to where the step writes.
    var outputOffset = 0
    /// Multiply-accumulates, or elements for steps that have none: what decides about threads.
    var cost: Int
    /// Multiply-accumulates, for reports.
    var macs: Int
    /// Identifies the packed weights among the plans of one model: the same node and role pack the same bytes.
    var packingKey: String
}

/// Same face as a kernel's `run`, one unit.
typealias GenericStep = @convention(c) (UnsafePointer<ounce_call>?, Int64, Int64) -> Void
