import Glibc

/// Memory of zeros on a boundary of 64 bytes. A large piece takes memory only where something else is written, and gives it
/// all back at its end.
package final class ZeroedMemory: @unchecked Sendable {
    private static let mappedBytes = 1 << 20

    package let bytes: UnsafeMutableRawBufferPointer
    private let isMapped: Bool

    package init(byteCount: Int) {
        if byteCount >= Self.mappedBytes {
            let pages = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
            if let pages, pages != MAP_FAILED {
                bytes = UnsafeMutableRawBufferPointer(start: pages, count: byteCount)
                isMapped = true
                return
            }
        }
        bytes = .allocate(byteCount: byteCount, alignment: 64)
        bytes.initializeMemory(as: UInt8.self, repeating: 0)
        isMapped = false
    }

    deinit {
        if isMapped { munmap(bytes.baseAddress, bytes.count) } else { bytes.deallocate() }
    }
}
