import CLinux
import Glibc

/// A pipe whose ends no child inherits by itself.
final class Pipe {
    let readEnd: Int32
    private(set) var writeEnd: Int32

    init() throws(SystemError) {
        var ends: [Int32] = [-1, -1]
        guard ounce_pipe_cloexec(&ends) == 0 else { throw SystemError(.call, "cannot make a pipe", errno: errno) }
        readEnd = ends[0]
        writeEnd = ends[1]
        _ = fcntl(readEnd, F_SETFL, O_NONBLOCK)
    }

    func closeWriteEnd() {
        if writeEnd >= 0 { Glibc.close(writeEnd) }
        writeEnd = -1
    }

    func close() {
        closeWriteEnd()
        Glibc.close(readEnd)
    }
}

/// Cuts a stream of bytes into lines of bounded length.
struct LineSplitter {
    /// What a line has beyond this many bytes is dropped.
    static let limit = 4096

    private var line: [UInt8] = []

    /// Reads what is there. Returns false at the end of the stream.
    mutating func read(_ descriptor: Int32, _ onLine: (String) -> Void) -> Bool {
        var chunk = [UInt8](repeating: 0, count: 16_384)
        let count = chunk.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
        if count < 0 { return errno == EAGAIN || errno == EINTR }
        for byte in chunk[..<count] {
            if byte == UInt8(ascii: "\n") {
                finish(onLine)
            } else if line.count < Self.limit {
                line.append(byte)
            }
        }
        return count > 0
    }

    /// Gives the last line where it does not end with a newline.
    mutating func finish(_ onLine: (String) -> Void) {
        guard !line.isEmpty else { return }
        onLine(String(decoding: line, as: UTF8.self))
        line.removeAll(keepingCapacity: true)
    }
}
