import Foundation
import Glibc

/// How a program ended and what it said.
struct Ending {
    /// Exit status; nil where a signal ended it.
    let status: Int32?
    let signal: Int32?
    let output: Data
    let error: String

    var text: String { String(decoding: output, as: UTF8.self) }
    var json: [String: Any] { (try? JSONSerialization.jsonObject(with: output)) as? [String: Any] ?? [:] }
}

struct TestFailure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

/// The programs under test: in `OUNCE_BIN`, else beside the test bundle.
enum Programs {
    static let folder =
        ProcessInfo.processInfo.environment["OUNCE_BIN"]
        ?? URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent().path

    static var ounce: String { folder + "/ounce" }
    static var ounced: String { folder + "/ounced" }

    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().path

    /// Without what a service manager or a caller's shell may have set.
    static func environment(_ more: [String: String] = [:]) -> [String: String] {
        var variables = ProcessInfo.processInfo.environment
        for name in [
            "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES",
            "JOURNAL_STREAM", "STATE_DIRECTORY", "OUNCE_ISA", "OUNCE_BINARY", "OUNCE_JOURNAL",
        ] { variables[name] = nil }
        variables["OUNCE_SHARE"] = root + "/Config"
        variables["OUNCE_KERNEL_CACHE"] = ""
        return variables.merging(more) { $1 }
    }
}

/// A program that runs beside the test; what it says goes to files.
final class RunningProgram {
    let arguments: [String]
    private let folder: Folder
    private let process: pid_t
    /// posix_spawn_file_actions_addclosefrom_np(3): the descriptors of other tests are no business of the program.
    /// glibc declares it for GNU sources only.
    private static let closeFrom = dlsym(nil, "posix_spawn_file_actions_addclosefrom_np").map {
        unsafeBitCast(
            $0,
            to: (@convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32).self)
    }

    /// As waitpid(2) gives it.
    private var status: Int32?

    init(_ program: String, _ arguments: [String], _ variables: [String: String] = [:]) throws {
        self.arguments = arguments
        folder = try Folder()
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        for (descriptor, name) in [(Int32(1), "output"), (2, "error")] {
            let path = folder.file(name)
            posix_spawn_file_actions_addopen(&actions, descriptor, path, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        }
        _ = Self.closeFrom?(&actions, 3)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var (none, all) = (sigset_t(), sigset_t())
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        let words = ([program] + arguments).map { strdup($0) } + [nil]
        let environment = Programs.environment(variables).map { strdup("\($0)=\($1)") } + [nil]
        defer { for text in words + environment { free(text) } }
        var child: pid_t = 0
        let failure = posix_spawn(&child, program, &actions, &attributes, words, environment)
        guard failure == 0 else { throw TestFailure("cannot start \(program): \(String(cString: strerror(failure)))") }
        process = child
    }

    deinit {
        send(SIGKILL)
        if status == nil { waitpid(process, nil, 0) }
    }

    var isRunning: Bool {
        var found: Int32 = 0
        if status == nil, waitpid(process, &found, WNOHANG) == process { status = found }
        return status == nil
    }

    private func said(_ name: String) -> Data { FileManager.default.contents(atPath: folder.file(name)) ?? Data() }

    var errorSoFar: String { String(decoding: said("error"), as: UTF8.self) }

    /// The most memory that it had at once so far, in bytes; 0 where it has ended.
    var peakMemory: Int {
        let status = (try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        return line?.split(separator: " ").compactMap { Int($0) }.first.map { $0 << 10 } ?? 0
    }

    func send(_ signal: Int32) {
        if isRunning { kill(process, signal) }
    }

    /// - Throws: where it still runs after `timeout` seconds; it is killed then.
    func wait(timeout: Double = 60) throws -> Ending {
        let end = ContinuousClock.now + .seconds(timeout)
        while isRunning {
            guard ContinuousClock.now < end else {
                send(SIGKILL)
                throw TestFailure("\(arguments) did not end within \(timeout) s: \(errorSoFar.suffix(2000))")
            }
            usleep(1000)
        }
        let status = status ?? 0
        let signal = status & 0x7F
        return Ending(
            status: signal == 0 ? (status >> 8) & 0xFF : nil, signal: signal == 0 ? nil : signal,
            output: said("output"), error: errorSoFar)
    }
}

/// Runs a program to its end.
func run(_ program: String, _ arguments: [String], _ variables: [String: String] = [:], timeout: Double = 60) throws
    -> Ending
{
    try RunningProgram(program, arguments, variables).wait(timeout: timeout)
}

/// Runs `ounce` to its end.
func ounce(_ arguments: String..., variables: [String: String] = [:]) throws -> Ending {
    try run(Programs.ounce, arguments, variables)
}

/// Looks every few milliseconds until `condition` holds. False: it did not within `timeout` seconds.
func eventually(timeout: Double = 60, _ condition: () throws -> Bool) rethrows -> Bool {
    let end = ContinuousClock.now + .seconds(timeout)
    while true {
        if try condition() { return true }
        if ContinuousClock.now > end { return false }
        usleep(5000)
    }
}

/// A folder that goes with its owner.
final class Folder: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/ounce-e2e-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw TestFailure("no temporary folder") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { path + "/" + name }

    @discardableResult
    func write(_ text: String, to name: String) throws -> String { try write(Data(text.utf8), to: name) }

    @discardableResult
    func write(_ data: Data, to name: String) throws -> String {
        try data.write(to: URL(fileURLWithPath: file(name)))
        return file(name)
    }

    var names: [String] { Self.names(in: path) }

    static func names(in path: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
    }
}
