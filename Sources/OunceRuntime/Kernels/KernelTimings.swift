import COunceKernels
import Glibc
import Synchronization

/// Measured times of kernels on this CPU by step, shared by the models of this process, and kept in a file of a folder
/// where one is given.
///
/// The file's name says the CPU, its instruction sets and the program: kernels of another build run at other speeds. A file
/// that cannot be read or written only costs measuring again.
package final class KernelTimings: Sendable {
    static let shared = KernelTimings()

    private struct State {
        var known: [String: [KernelTiming]] = [:]
        var files: [String: TimingsFile] = [:]
    }
    private let state = Mutex(State())

    package init() {}

    private static let maximumEntries = 4096

    /// What is known of a step; nil where it has not been measured.
    package func timings(of key: String, directory: String?) -> [KernelTiming]? {
        state.withLock { state in
            if let known = state.known[key] { return known }
            guard let directory else { return nil }
            let file = state.files[directory] ?? TimingsFile(path: Self.path(in: directory))
            state.files[directory] = file
            let found = file.timings(of: key)
            if let found { state.known[key] = found }
            return found
        }
    }

    package func add(_ timings: [KernelTiming], for key: String) {
        state.withLock { state in
            if state.known.count < Self.maximumEntries { state.known[key] = timings }
        }
    }

    /// Writes what is known beside the file and puts it in its place.
    package func save(in directory: String) {
        let path = Self.path(in: directory)
        let earlier = TimingsFile(path: path)
        let known = state.withLock { state in
            state.files[directory] = earlier
            return earlier.all.merging(state.known) { _, mine in mine }
        }
        TimingsFile.write(known, to: path)
    }

    package static func path(in directory: String) -> String {
        let name = cpuName + InstructionSets.available.names.joined() + program
        return "\(directory)/kernels-\(String(StableHash.of(name), radix: 16))"
    }

    /// Tells apart builds of this program: the size and time of its file.
    private static let program: String = {
        var status = stat()
        guard stat("/proc/self/exe", &status) == 0 else { return "" }
        return " \(status.st_size) \(status.st_mtim.tv_sec) \(status.st_mtim.tv_nsec)"
    }()

    /// What tells CPUs apart whose kernels run at other speeds.
    static let cpuName: String = {
        let signature = ounce_cpu_signature()
        return signature != 0 ? String(signature, radix: 16) : describedCPU
    }()

    /// From the kernel, for CPUs that do not tell it themselves.
    private static var describedCPU: String {
        let wanted = ["CPU implementer", "CPU part", "CPU variant", "uarch"]
        let lines = (SmallText.read("/proc/cpuinfo", limit: 1 << 18) ?? "").split(separator: "\n")
        let names = lines.filter { line in wanted.contains { line.hasPrefix($0) } }
        return Set(names.map(String.init)).sorted().joined(separator: " ")
    }
}

/// A file of /proc, whose size reads as 0.
private enum SmallText {
    /// The first `limit` bytes.
    static func read(_ path: String, limit: Int) -> String? {
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
