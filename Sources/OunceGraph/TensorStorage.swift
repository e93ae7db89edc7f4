import Synchronization

/// Bytes that never change once they are made: heap memory of our own, a range of a mapped file that `owner` keeps mapped,
/// or bytes that are computed from others when somebody reads them.
package final class TensorStorage: @unchecked Sendable {
    /// Writes a range of the bytes, which begins and ends at multiples of the storage's unit.
    package typealias Maker = @Sendable (Range<Int>, UnsafeMutableRawBufferPointer) -> Void

    /// Kernels may read up to this many bytes past the end of any tensor that Ounce allocates.
    package static let slack = 64

    package let byteCount: Int
    /// nil: to be made.
    private let given: UnsafeRawBufferPointer?
    private let owner: AnyObject?
    private let isPadded: Bool
    private let unit: Int
    private let make: Maker?
    /// What was made because somebody keeps a pointer to it.
    private let kept = Mutex<TensorStorage?>(nil)

    /// Allocates `byteCount` bytes (zeroed, 64-byte aligned) and lets `fill` write them.
    package init(byteCount: Int, fill: (UnsafeMutableRawBufferPointer) throws -> Void) rethrows {
        let memory = ZeroedMemory(byteCount: byteCount + Self.slack)
        let content = UnsafeMutableRawBufferPointer(rebasing: memory.bytes[..<byteCount])
        try fill(content)
        self.byteCount = byteCount
        given = UnsafeRawBufferPointer(content)
        owner = memory
        isPadded = true
        (unit, make) = (1, nil)
    }

    /// Refers to memory that `owner` keeps valid and unchanged.
    ///
    /// - Parameter isPadded: it is 64-byte aligned and `slack` bytes after it can be read.
    package init(referring bytes: UnsafeRawBufferPointer, owner: AnyObject, isPadded: Bool = false) {
        byteCount = bytes.count
        given = bytes
        self.owner = owner
        self.isPadded = isPadded
        (unit, make) = (1, nil)
    }

    /// Bytes that `make` writes whenever they are read; what it reads is kept by itself.
    ///
    /// - Parameter unit: pieces begin at multiples of it and end there or at the end.
    package init(byteCount: Int, unit: Int, deferring make: @escaping Maker) {
        self.byteCount = byteCount
        self.unit = max(unit, 1)
        self.make = make
        (given, owner, isPadded) = (nil, nil, true)
    }

    /// The bytes, for as long as this storage lives. Readers who need them once ask `withBytes`.
    package var bytes: UnsafeRawBufferPointer { given ?? keep().bytes }

    /// As `bytes`, aligned to 64 bytes and with `slack` readable bytes behind.
    package var paddedBytes: UnsafeRawBufferPointer { isPadded ? bytes : keep().bytes }

    private func keep() -> TensorStorage {
        kept.withLock { kept in
            if let kept { return kept }
            let whole = copy(0..<byteCount)
            kept = whole
            return whole
        }
    }

    private func copy(_ range: Range<Int>) -> TensorStorage {
        TensorStorage(byteCount: range.count) { target in
            if let given {
                target.copyMemory(from: UnsafeRawBufferPointer(rebasing: given[range]))
                file?.discard(UnsafeRawBufferPointer(rebasing: given[range]))
            } else {
                make?(range, target)
            }
        }
    }

    /// Calls `body` with the bytes in `range`, which are not kept for it: neither those of a file nor those made.
    package func withBytes<R, E: Error>(
        _ range: Range<Int>? = nil, _ body: (UnsafeRawBufferPointer) throws(E) -> R
    ) throws(E) -> R {
        let range = range ?? 0..<byteCount
        if let ready = given ?? kept.withLock({ $0?.bytes }) {
            let part = UnsafeRawBufferPointer(rebasing: ready[range])
            defer { if given != nil { file?.discard(part) } }
            return try body(part)
        }
        let (first, last) = (range.lowerBound / unit * unit, (range.upperBound + unit - 1) / unit * unit)
        let piece = copy(first..<min(last, byteCount))
        return try withExtendedLifetime(piece) { () throws(E) -> R in
            try body(UnsafeRawBufferPointer(rebasing: piece.bytes[range.lowerBound - first..<range.upperBound - first]))
        }
    }

    /// The file that the bytes lie in.
    private var file: MappedFile? { owner as? MappedFile }
}
