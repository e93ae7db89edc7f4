import Glibc
import Testing

@testable import OunceService
@testable import OunceSystem

/// What changes environment variables of the process, or reads them all, runs one after the other.
@Suite(.serialized) enum EnvironmentTests {}

extension EnvironmentTests {
    @Suite(.serialized) struct ServiceTests {
        @Test func notifications() throws {
            let manager = try DatagramSocket(path: temporaryFolder() + "/notify")
            setenv("NOTIFY_SOCKET", manager.path, 1)
            defer { unsetenv("NOTIFY_SOCKET") }
            let notifier = ServiceNotifier()
            notifier.ready("Serving 1 model\nand more")
            #expect(manager.receive() == "READY=1\nSTATUS=Serving 1 model and more\n")
            notifier.reloading()
            let reloading = manager.receive().split(separator: "\n")
            #expect(reloading.first == "RELOADING=1")
            let time = reloading.dropFirst().first?.split(separator: "=")
            #expect(time?.first == "MONOTONIC_USEC")
            var now = timespec()
            clock_gettime(CLOCK_MONOTONIC, &now)
            let sent = time?.last.flatMap { Int($0) } ?? 0
            #expect((now.tv_sec - 10...now.tv_sec + 1).contains(sent / 1_000_000))
            notifier.extendTimeout(seconds: 90)
            #expect(manager.receive() == "EXTEND_TIMEOUT_USEC=90000000\n")
            notifier.watchdog()
            #expect(manager.receive() == "WATCHDOG=1\n")
            notifier.stopping("Bye")
            #expect(manager.receive() == "STOPPING=1\nSTATUS=Bye\n")
        }

        @Test func watchdogInterval() {
            #expect(ServiceNotifier().watchdogInterval == nil)
            setenv("WATCHDOG_USEC", "3000000", 1)
            setenv("WATCHDOG_PID", String(getpid()), 1)
            defer {
                unsetenv("WATCHDOG_USEC")
                unsetenv("WATCHDOG_PID")
            }
            #expect(ServiceNotifier().watchdogInterval == 3_000_000)
        }

        @Test func noInheritedSockets() throws {
            #expect(try InheritedSockets.unixListener(named: "ounce") == nil)
        }

        @Test func inheritedSocketsAreFoundByNameAndChecked() throws {
            // Passed descriptors begin at 3; what is there is put back afterwards.
            setenv("LISTEN_PID", String(getpid()), 1)
            setenv("LISTEN_FDS", "1", 1)
            setenv("LISTEN_FDNAMES", "ounce", 1)
            defer { for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] { unsetenv(name) } }
            let saved = dup(3)
            defer {
                if saved >= 0 { dup2(saved, 3) } else { close(3) }
                close(saved)
            }
            let folder = temporaryFolder()
            let wrong = try DatagramSocket(path: folder + "/datagram")
            dup2(wrong.descriptor, 3)
            let error = #expect(throws: SystemError.self) { try InheritedSockets.unixListener(named: "ounce") }
            #expect(error?.code == .inheritedSocket)

            let right = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
            defer { close(right) }
            #expect(withAddress(folder + "/stream") { bind(right, $0, $1) } == 0)
            listen(right, 1)
            dup2(right, 3)
            #expect(try InheritedSockets.unixListener(named: "ounce") == 3)
            #expect(try InheritedSockets.unixListener(named: "other") == nil)
        }
    }
}
