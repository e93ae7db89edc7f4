import Glibc
import Synchronization
import Testing

@testable import OunceSystem

extension EnvironmentTests {
    @Suite(.serialized) struct ChildProcessTests {
        private func shell(_ script: String) -> ChildProcess {
            ChildProcess(executable: "/bin/sh", arguments: ["-c", script])
        }

        @Test func outputAndStatus() throws {
            var lines: [ChildProcess.Stream: [String]] = [:]
            let ending = try shell("echo one; echo two >&2; printf three; exit 7").run {
                lines[$0, default: []].append($1)
            }
            #expect(ending == .exited(7))
            #expect(lines == [.output: ["one", "three"], .error: ["two"]])
        }

        @Test func longLinesAreCut() throws {
            var longest = 0
            let ending = try shell("head -c 1000000 /dev/zero | tr '\\0' x; echo; echo end").run {
                longest = max(longest, $1.utf8.count)
            }
            #expect(ending == .exited(0))
            #expect(longest == LineSplitter.limit)
        }

        @Test func timeoutKillsTheWholeGroup() throws {
            var child = shell("sleep 60 & echo $!; wait")
            child.timeout = .milliseconds(300)
            var grandchild: pid_t = 0
            let ending = try child.run { grandchild = pid_t($1) ?? 0 }
            #expect(ending == .timedOut)
            #expect(grandchild > 0)
            usleep(100_000)
            // A zombie in a container without a reaper still counts as existing; look at its state.
            let state = SmallFile.read("/proc/\(grandchild)/stat")?.split(separator: ")").last?.split(separator: " ")
                .first
            #expect(state == nil || state == "Z")
        }

        @Test func aGrandchildThatKeepsThePipeDoesNotHoldUp() throws {
            let start = ContinuousClock.now
            let ending = try shell("sleep 5 & echo done").run { _, _ in }
            #expect(ending == .exited(0))
            #expect(ContinuousClock.now - start < .seconds(3))
        }

        @Test func cancellation() throws {
            let cancellation = ChildProcess.Cancellation()
            let ending = try shell("echo up; sleep 60").run(cancellation: cancellation) { _, _ in cancellation.cancel()
            }
            #expect(ending == .cancelled)
        }

        @Test func signals() throws {
            #expect(try shell("kill -TERM $$").run { _, _ in } == .signalled(SIGTERM))
        }

        @Test func memoryIsLimited() throws {
            var child = ChildProcess(
                executable: "/usr/bin/python3",
                arguments: ["-c", "import time; time.sleep(0.2); x = bytearray(300 << 20); print('had')"])
            var said = ""
            guard access(child.executable, X_OK) == 0 else { return print("skipped: no python3") }
            #expect(try child.run { said += $1 } == .exited(0))
            #expect(said == "had")
            child.memoryLimit = 200 << 20
            #expect(try child.run { said += $1 } == .exited(1))
            #expect(said.contains("MemoryError"))
        }

        @Test func nicenessAndEnvironment() throws {
            setenv("NOTIFY_SOCKET", "/nowhere", 1)
            defer { unsetenv("NOTIFY_SOCKET") }
            var child = shell("nice; echo \"<$NOTIFY_SOCKET>\"; sleep 0.05; nice")
            child.niceness = 5
            var lines: [String] = []
            _ = try child.run { lines.append($1) }
            #expect(lines.contains("<>"))
            #expect(lines.last == "5")
        }

        @Test func noSuchProgram() {
            #expect(throws: SystemError.self) {
                try ChildProcess(executable: "/nowhere", arguments: []).run { _, _ in }
            }
        }
    }
}
