import COunceKernels
import OunceGraph

/// Packed weights, shared by the plans of a model.
final class PackedWeights: Sendable {
    /// About how much of the weights is brought together at a time to be packed.
    private static let pieceBytes = 1 << 21

    private let memory: ZeroedMemory
    var bytes: UnsafeMutableRawBufferPointer { memory.bytes }

    /// What `source` takes as `kernel` packs it; nil for a kernel that packs nothing. Kernels that pack channels in pieces
    /// need not see the weights for it.
    static func byteCount(
        of source: StepWeights, _ kernel: Kernel, parameters: UnsafeRawPointer
    ) -> Int? {
        guard let size = kernel.entry.pointee.packed_size else { return nil }
        let bytes =
            kernel.entry.pointee.pack_channels > 0
            ? size(parameters, nil) : source.withPointers { size(parameters, $0) }
        return Int(clamping: bytes)
    }

    init(byteCount: Int) { memory = ZeroedMemory(byteCount: byteCount + TensorStorage.slack) }

    /// Packs `source` as `kernel` wants it; large weights some channels after the others, so that no more than a piece of
    /// them is in memory beside what is packed.
    func fill(from source: StepWeights, _ kernel: Kernel, parameters: UnsafeMutableRawPointer) {
        guard let pack = kernel.entry.pointee.pack, let size = kernel.entry.pointee.packed_size,
            let start = bytes.baseAddress
        else { return }
        let multiple = Int(kernel.entry.pointee.pack_channels)
        let channels = source.weights.shape.rank == 0 ? 1 : source.weights.shape[0]
        var part = parameters.load(as: ounce_conv_params.self)
        guard multiple > 0, part.groups == 1, source.weights.byteCount > Self.pieceBytes, channels == Int(part.out_c)
        else {
            source.withPointers { pack(parameters, $0, start) }
            return
        }
        let row = max(source.weights.byteCount / channels, 1)
        let step = max(Self.pieceBytes / row / multiple, 1) * multiple
        var place = 0
        for first in stride(from: 0, to: channels, by: step) {
            let end = min(first + step, channels)
            part.out_c = Int32(end - first)
            source.withPointers(channels: first..<end) { pack(&part, $0, start + place) }
            place += Int(clamping: size(&part, nil))
        }
    }
}
