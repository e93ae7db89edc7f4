import COunceKernels
import Glibc
import Synchronization

/// Measured times of kernels on this CPU by step, shared by the models of this process, and kept in a file of a folder
/// where one is given.
///
/// The file's name says the CPU and its instruction sets. Each line holds the key of a step and, separated by tabs, kernels
/// with their microseconds. A file that cannot be read or written only costs measuring again.
package final class KernelTimings: Sendable {
    static let shared = KernelTimings()

    private struct State {
        var known: [String: [KernelTiming]] = [:]
        var loaded: Set<String> = []
    }
    private let state = Mutex(State())

    package init() {}

    private static let header = "ounce kernel times 1"
    private static let maximumFileBytes = 1 << 20
    private static let maximumEntries = 4096

    /// What is known of a step; nil where it has not been measured.
    package func timings(of key: String, directory: String?) -> [KernelTiming]? {
        state.withLock { state in
            if let directory, state.loaded.insert(directory).inserted {
                state.known.merge(Self.read(Self.path(in: directory))) { mine, _ in mine }
            }
            return state.known[key]
        }
    }

    package func add(_ timings: [KernelTiming], for key: String) {
        state.withLock { state in
            if state.known.count < Self.maximumEntries { state.known[key] = timings }
        }
    }

    /// Writes what is known beside the file and puts it in its place.
    package func save(in directory: String) {
        let known = state.withLock { $0.known }
        var text = Self.header + "\n"
        for (key, timings) in known.sorted(by: { $0.key < $1.key }) {
            text += key + timings.map { "\t\($0.kernel)=\($0.microseconds)" }.joined() + "\n"
        }
        let bytes = Array(text.utf8)
        guard bytes.count <= Self.maximumFileBytes else { return }
        let path = Self.path(in: directory)
        let temporary = "\(path).\(getpid())"
        let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { return }
        let written = write(file, bytes, bytes.count) == bytes.count && fsync(file) == 0
        close(file)
        guard written, rename(temporary, path) == 0 else {
            unlink(temporary)
            return
        }
    }

    package static func path(in directory: String) -> String {
        "\(directory)/kernels-\(String(StableHash.of(cpuName + InstructionSets.available.names.joined()), radix: 16))"
    }

    private static func read(_ path: String) -> [String: [KernelTiming]] {
        guard let text = contents(of: path, limit: maximumFileBytes) else { return [:] }
        let lines = text.split(separator: "\n")
        guard lines.first.map(String.init) == header else { return [:] }
        var known: [String: [KernelTiming]] = [:]
        for line in lines.dropFirst().prefix(maximumEntries) {
            let fields = line.split(separator: "\t")
            let timings = fields.dropFirst().compactMap { field -> KernelTiming? in
                let parts = field.split(separator: "=")
                guard parts.count == 2, let time = Double(String(parts[1])), time.isFinite, time >= 0 else {
                    return nil
                }
                return KernelTiming(kernel: String(parts[0]), microseconds: time)
            }
            if let key = fields.first, timings.count == fields.count - 1 { known[String(key)] = timings }
        }
        return known
    }

    /// What tells CPUs apart whose kernels run at other speeds.
    static let cpuName: String = {
        let wanted = ["model name", "CPU implementer", "CPU part", "CPU variant", "uarch"]
        let lines = (contents(of: "/proc/cpuinfo", limit: 1 << 18) ?? "").split(separator: "\n")
        let names = lines.filter { line in wanted.contains { line.hasPrefix($0) } }
        return Set(names.map(String.init)).sorted().joined(separator: " ")
    }()

    /// The first `limit` bytes of a file.
    private static func contents(of path: String, limit: Int) -> String? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: limit)
        var count = 0
        while count < limit {
            let some = bytes.withUnsafeMutableBytes { buffer in
                Glibc.read(file, buffer.baseAddress.map { $0 + count }, limit - count)
            }
            guard some > 0 else { break }
            count += some
        }
        return String(decoding: bytes[..<count], as: UTF8.self)
    }
}

/// FNV-1a, 64 bits: the same on every run, unlike Swift's.
enum StableHash {
    static func of(_ bytes: some Sequence<UInt8>) -> UInt64 {
        bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }
    static func of(_ text: String) -> UInt64 { of(text.utf8) }
}
