import Crypto
import OunceGraph

/// SHA-256 of a mapped file, or of a part of one, in lower-case hex.
package func sha256Hex(_ bytes: UnsafeRawBufferPointer, of file: MappedFile) -> String {
    hexadecimal(sha256(bytes, of: file))
}

/// SHA-256 of bytes in memory, in lower-case hex.
package func sha256Hex(_ bytes: [UInt8]) -> String { hexadecimal(SHA256.hash(data: bytes)) }

/// In lower case.
package func hexadecimal(_ digest: SHA256.Digest) -> String {
    digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

/// In pieces, whose memory is given back.
func sha256(_ bytes: UnsafeRawBufferPointer, of file: MappedFile) -> SHA256.Digest {
    var hash = SHA256()
    for start in stride(from: 0, to: bytes.count, by: 1 << 22) {
        let piece = UnsafeRawBufferPointer(rebasing: bytes[start..<min(start + 1 << 22, bytes.count)])
        hash.update(bufferPointer: piece)
        file.discard(piece)
    }
    return hash.finalize()
}
