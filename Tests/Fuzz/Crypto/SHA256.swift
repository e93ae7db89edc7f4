/// Stands in for swift-crypto while fuzzing: as cheap as can be, so that the time goes into what is fuzzed. FNV-1a, repeated.
package struct SHA256 {
    private var state: UInt64 = 0xCBF2_9CE4_8422_2325

    package init() {}

    package mutating func update(bufferPointer: UnsafeRawBufferPointer) {
        for byte in bufferPointer { state = (state ^ UInt64(byte)) &* 0x100_0000_01B3 }
    }

    package mutating func update(data: some Sequence<UInt8>) {
        Array(data).withUnsafeBytes { update(bufferPointer: $0) }
    }

    package func finalize() -> [UInt8] {
        (0..<32).map { UInt8(truncatingIfNeeded: state >> (UInt64($0) % 8 * 8)) }
    }

    package static func hash(data: some Sequence<UInt8>) -> [UInt8] {
        var hash = SHA256()
        hash.update(data: data)
        return hash.finalize()
    }
}
