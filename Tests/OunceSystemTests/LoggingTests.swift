import Foundation
import Logging
import Synchronization
import Testing

@testable import OunceService
@testable import OunceSystem

@Suite struct LoggingTests {
    @Test func standardErrorPrefixes() {
        var ends: [Int32] = [0, 0]
        pipe(&ends)
        defer { for end in ends { close(end) } }
        var handler = StandardErrorLogHandler(descriptor: ends[1])
        handler.logLevel = .debug
        let logger = Logger(label: "t") { _ in handler }
        logger.log(.modelReady, .notice, "first\nsecond \u{1b}[31m", ["OUNCE_MODEL": "m"])
        logger.error("bad")
        var buffer = [UInt8](repeating: 0, count: 1000)
        let count = read(ends[0], &buffer, buffer.count)
        #expect(
            String(decoding: buffer.prefix(count), as: UTF8.self)
                == "<5>first\n<5>second ?[31m OUNCE_MODEL=m\n<3>bad\n")
    }

    @Test func fieldNames() {
        #expect(JournalLogHandler.fieldName("OUNCE_MODEL") == "OUNCE_MODEL")
        #expect(JournalLogHandler.fieldName("model-name") == "MODEL_NAME")
        #expect(JournalLogHandler.fieldName("_PID") == nil)
        #expect(JournalLogHandler.fieldName("1x") == nil)
        #expect(JournalLogHandler.fieldName("") == nil)
        #expect(JournalLogHandler.fieldName(String(repeating: "a", count: 99))?.count == 64)
    }

    @Test func eventIDsAreDistinct() {
        let ids = EventID.allCases.map(\.rawValue)
        #expect(Set(ids).count == ids.count)
        #expect(ids.allSatisfy { $0.count == 32 && $0.allSatisfy { $0.isHexDigit && !$0.isUppercase } })
    }

    @Test func everyEventIDIsDocumented() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let page = try #require(SmallFile.read(root.appendingPathComponent("docs/protocol.md").path))
        for event in EventID.allCases { #expect(page.contains(event.rawValue), "\(event)") }
    }

    /// In a mount namespace of one thread, where a socket of ours stands in place of journald's.
    @Test func journalFields() throws {
        guard geteuid() == 0 else { return print("skipped: a mount namespace needs root") }
        let result = onThread { () -> [String]? in
            guard unshareMounts() == 0, mount("none", "/", nil, UInt(MS_REC | MS_PRIVATE), nil) == 0,
                mount("none", "/run", "tmpfs", 0, nil) == 0
            else { return nil }
            for folder in ["/run/systemd", "/run/systemd/journal"] { mkdir(folder, 0o755) }
            guard let journal = try? DatagramSocket(path: LogDestination.journalSocket) else { return nil }
            let withoutStream = LogDestination.detect { _ in nil }
            let forced = LogDestination.detect { $0 == "OUNCE_JOURNAL" ? "1" : nil }
            let logger = Logger(label: "t") { _ in JournalLogHandler() }
            logger.log(
                .modelReady, .warning, "two\nlines", ["OUNCE_MODEL": "kws", "OUNCE_LATENCY_US": "42"], file: "F.swift",
                function: "f()", line: 9)
            return ["\(withoutStream)", "\(forced)", journal.receive()]
        }
        guard let result = result.flatMap(\.self) else {
            return print("skipped: mount namespaces are not permitted here")
        }
        #expect(result[0] == "stderr")
        #expect(result[1] == "journal")
        // A value with a newline has its length, eight bytes little-endian, before it.
        #expect(result[2].contains("MESSAGE\n\u{9}\0\0\0\0\0\0\0two\nlines\n"))
        let lines = result[2].split(separator: "\n")
        for field in [
            "PRIORITY=4", "SYSLOG_IDENTIFIER=ounced", "CODE_FILE=F.swift", "CODE_LINE=9", "CODE_FUNC=f()",
            "MESSAGE_ID=d654d26db38c4706b20dce476d8b60aa", "OUNCE_MODEL=kws", "OUNCE_LATENCY_US=42",
        ] { #expect(lines.contains(Substring(field)), "\(field)") }
    }
}

/// unshare(2) of the mount namespace; glibc declares it for GNU sources only.
private func unshareMounts() -> Int32 {
    guard let handle = dlopen(nil, RTLD_NOW), let symbol = dlsym(handle, "unshare") else { return -1 }
    return unsafeBitCast(symbol, to: (@convention(c) (Int32) -> Int32).self)(0x0002_0000)
}

/// Runs `body` on a thread of its own, which ends with it.
private func onThread<T: Sendable>(_ body: @escaping @Sendable () -> T) -> T? {
    let result = Box<T>()
    let finished = DispatchSemaphore(value: 0)
    Thread {
        let value = body()
        result.value.withLock { $0 = value }
        finished.signal()
    }.start()
    finished.wait()
    return result.value.withLock { $0 }
}

private final class Box<T: Sendable>: Sendable {
    let value = Mutex<T?>(nil)
}
