import Glibc
import Testing

@testable import OunceServer

@Suite struct SocketTests {
    private func folder() -> String {
        var template = Array("/tmp/ounce-socket-XXXXXX".utf8CString)
        _ = mkdtemp(&template)
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    @Test func modeAndGroup() throws {
        let path = folder() + "/s"
        let gid = geteuid() == 0 ? gid_t(12345) : getegid()
        let socket = try UnixSocket(path: path, mode: 0o620, group: String(gid))
        var status = stat()
        #expect(lstat(path, &status) == 0)
        #expect(status.st_mode & 0o777 == 0o620)
        #expect(status.st_gid == gid)
        socket.unlinkIfOurs()
        #expect(lstat(path, &status) != 0)
        close(socket.descriptor)
        #expect(throws: SocketError.self) { try UnixSocket(path: path, mode: 0o600, group: "no-such-group") }
        #expect(lstat(path, &status) != 0)
    }

    @Test func aStaleSocketIsReplaced() throws {
        let path = folder() + "/s"
        let first = try UnixSocket(path: path, mode: 0o600)
        close(first.descriptor)
        usleep(20_000)
        let second = try UnixSocket(path: path, mode: 0o600)
        // The path is the second one's now.
        first.unlinkIfOurs()
        var status = stat()
        #expect(lstat(path, &status) == 0)
        close(second.descriptor)
    }

    @Test func aLiveSocketIsLeftAlone() throws {
        let path = folder() + "/s"
        let first = try UnixSocket(path: path, mode: 0o600)
        listen(first.descriptor, 1)
        let error = #expect(throws: SocketError.self) { try UnixSocket(path: path, mode: 0o600) }
        #expect(error?.message.contains("listens") == true)
        close(first.descriptor)
    }

    @Test func whatIsNoSocketIsLeftAlone() throws {
        let path = folder() + "/s"
        close(open(path, O_CREAT | O_WRONLY, 0o600))
        #expect(throws: SocketError.self) { try UnixSocket(path: path, mode: 0o600) }
        var status = stat()
        #expect(lstat(path, &status) == 0)
        #expect(throws: SocketError.self) { try UnixSocket(path: "/nowhere/s", mode: 0o600) }
        #expect(throws: SocketError.self) { try UnixSocket(path: String(repeating: "a", count: 108), mode: 0o600) }
    }
}
