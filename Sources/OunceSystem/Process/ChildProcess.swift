import CLinux
import Glibc
import Synchronization

/// A program run beside this process under limits of its own.
///
/// The memory limit is set right after the start, with prlimit(2): posix_spawn has no such attribute, and a fork in a
/// process with threads may only call async-signal-safe functions. The kernel compares limits at each mapping, so that
/// the few microseconds before it let nothing past. It bounds `RLIMIT_DATA`: private writable memory, but neither
/// mapped files nor the address space that allocators reserve.
///
/// Linux has no way to tie a posix_spawn child to its parent's life: where the parent is killed, the service manager
/// ends the whole control group, and elsewhere the child's next line of output ends it by SIGPIPE.
package struct ChildProcess: Sendable {
    package var executable: String
    package var arguments: [String]
    /// Environment variables that the child does not inherit.
    package var withoutVariables: [String] = [
        "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES",
        "JOURNAL_STREAM",
    ]
    /// In bytes.
    package var memoryLimit: Int?
    /// Added to the parent's niceness.
    package var niceness: Int32 = 0
    package var timeout: Duration?

    package init(executable: String, arguments: [String]) {
        self.executable = executable
        self.arguments = arguments
    }

    package enum Stream: Sendable, Hashable { case output, error }

    package enum Ending: Sendable, Hashable {
        case exited(Int32)
        case signalled(Int32)
        /// Killed because it ran for longer than the timeout.
        case timedOut
        /// Killed because `cancellation` asked for it.
        case cancelled
    }

    /// Asks a running child to end.
    package final class Cancellation: Sendable {
        private let flag = Atomic<Bool>(false)
        package init() {}
        package func cancel() { flag.store(true, ordering: .releasing) }
        package var isCancelled: Bool { flag.load(ordering: .acquiring) }
    }

    /// Starts the program and waits for its end; call it from a thread that may block.
    ///
    /// - Parameters:
    ///   - onLine: gets each line of output, cut to `LineSplitter.limit` bytes, on the calling thread.
    /// - Throws: `.spawn` where it cannot be started.
    package func run(
        cancellation: Cancellation = Cancellation(), onLine: (Stream, String) -> Void
    ) throws(SystemError) -> Ending {
        let output = try Pipe()
        defer { output.close() }
        let error = try Pipe()
        defer { error.close() }
        let child = try spawn(output: output.writeEnd, error: error.writeEnd)
        output.closeWriteEnd()
        error.closeWriteEnd()
        return watch(child, [(.output, output.readEnd), (.error, error.readEnd)], cancellation, onLine)
    }

    private func spawn(output: Int32, error: Int32) throws(SystemError) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
        posix_spawn_file_actions_adddup2(&actions, error, STDERR_FILENO)

        // A group of its own, so that a kill reaches its children too; no signal blocked or ignored.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setpgroup(&attributes, 0)
        let flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP
        posix_spawnattr_setflags(&attributes, Int16(flags))

        var child: pid_t = 0
        let failure = withCStrings([executable] + arguments) { argv in
            withCStrings(environment()) { posix_spawn(&child, executable, &actions, &attributes, argv, $0) }
        }
        guard failure == 0 else { throw SystemError(.spawn, "cannot start '\(executable)'", errno: failure) }
        if let memoryLimit, memoryLimit > 0 {
            guard ounce_limit_data(child, UInt64(memoryLimit)) == 0 || errno == ESRCH else {
                let failure = SystemError(.spawn, "cannot limit the memory of '\(executable)'", errno: errno)
                kill(child, SIGKILL)
                waitpid(child, nil, 0)
                throw failure
            }
        }
        if niceness > 0 { setpriority(__priority_which_t(PRIO_PROCESS.rawValue), id_t(child), niceness) }
        return child
    }

    private func watch(
        _ child: pid_t, _ sources: [(Stream, Int32)], _ cancellation: Cancellation, _ onLine: (Stream, String) -> Void
    ) -> Ending {
        let start = ContinuousClock.now
        var splitters = sources.map { _ in LineSplitter() }
        var open = sources.map { _ in true }
        var ended: Ending?
        var killed: Ending?
        while true {
            var polls = zip(sources, open).map { pollfd(fd: $1 ? $0.1 : -1, events: Int16(POLLIN), revents: 0) }
            let isOpen = open.contains(true)
            // Once the child has ended only what is in the pipes is read: a grandchild may hold them open.
            let ready = poll(&polls, nfds_t(polls.count), ended == nil ? (isOpen ? 100 : 10) : 0)
            for index in polls.indices where polls[index].revents != 0 {
                open[index] = splitters[index].read(polls[index].fd) { onLine(sources[index].0, $0) }
            }
            if let ended, ready <= 0 || !isOpen {
                for index in sources.indices { splitters[index].finish { onLine(sources[index].0, $0) } }
                return killed ?? ended
            }
            if ended == nil { ended = Self.ending(of: child) }
            if ended == nil, killed == nil {
                if cancellation.isCancelled { killed = .cancelled }
                if let timeout, ContinuousClock.now - start > timeout { killed = .timedOut }
                if killed != nil { kill(-child, SIGKILL) }
            }
        }
    }

    /// nil while the child runs.
    private static func ending(of child: pid_t) -> Ending? {
        var status: Int32 = 0
        let result = waitpid(child, &status, WNOHANG)
        if result == 0 || (result < 0 && errno == EINTR) { return nil }
        guard result == child else { return .exited(-1) }
        let signal = status & 0x7F
        return signal == 0 ? .exited((status >> 8) & 0xFF) : .signalled(signal)
    }

    private func environment() -> [String] {
        var variables: [String] = []
        var next = environ
        while let variable = next.pointee {
            variables.append(String(cString: variable))
            next += 1
        }
        return variables.filter { variable in !withoutVariables.contains { variable.hasPrefix($0 + "=") } }
    }
}

/// Calls `body` with a null-terminated array of C strings that live as long as the call.
private func withCStrings<R>(
    _ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> R
) -> R {
    var copies = strings.map { strdup($0) }
    defer { for copy in copies { free(copy) } }
    copies.append(nil)
    return body(copies)
}
