import Glibc
import OunceGraph

/// The file that kernel times are kept in: a header, then for each step its key and, separated by tabs, kernels with their
/// microseconds, in the order of the keys' bytes. It is read whenever a model is loaded, so a line is searched, not all are
/// taken apart.
struct TimingsFile: Sendable {
    private static let header = "ounce kernel times 1\n"
    private static let maximumBytes = 1 << 20
    private static let (newline, tab) = (UInt8(ascii: "\n"), UInt8(ascii: "\t"))

    private let text: [UInt8]

    /// What is no such file reads as one that holds nothing.
    init(path: String) {
        guard let file = try? MappedFile(path: path, maximumBytes: Self.maximumBytes),
            file.bytes.starts(with: Self.header.utf8)
        else {
            text = []
            return
        }
        text = Array(file.bytes.dropFirst(Self.header.utf8.count))
    }

    /// nil where the step has no line, or none that makes sense.
    func timings(of key: String) -> [KernelTiming]? {
        let wanted = Array(key.utf8)
        // All lines before `low` are of smaller keys, all from `high` on of larger ones.
        var (low, high) = (0, text.count)
        while low < high {
            let middle = low + (high - low) / 2
            let start = text[low..<middle].lastIndex(of: Self.newline).map { $0 + 1 } ?? low
            let end = text[middle...].firstIndex(of: Self.newline) ?? text.count
            let found = text[start..<(text[start..<end].firstIndex(of: Self.tab) ?? end)]
            if found.elementsEqual(wanted) { return parse(start..<end)?.timings }
            if found.lexicographicallyPrecedes(wanted) { low = end + 1 } else { high = start }
        }
        return nil
    }

    /// Every line that makes sense.
    var all: [String: [KernelTiming]] {
        let lines = text.indices.split { text[$0] == Self.newline }.compactMap { parse($0) }
        return Dictionary(lines.map { ($0.key, $0.timings) }) { first, _ in first }
    }

    private func parse(_ line: Range<Int>) -> (key: String, timings: [KernelTiming])? {
        let fields = text[line].split(separator: Self.tab, omittingEmptySubsequences: false)
        guard let key = fields.first, fields.count > 1 else { return nil }
        var timings: [KernelTiming] = []
        for field in fields.dropFirst() {
            let parts = field.split(separator: UInt8(ascii: "="))
            guard parts.count == 2, let time = Double(String(decoding: parts[1], as: UTF8.self)), time.isFinite,
                time >= 0
            else { return nil }
            timings.append(KernelTiming(kernel: String(decoding: parts[0], as: UTF8.self), microseconds: time))
        }
        return (String(decoding: key, as: UTF8.self), timings)
    }

    /// Writes beside the file and puts it in its place; what cannot be written is lost.
    static func write(_ known: [String: [KernelTiming]], to path: String) {
        var text = header
        let sorted = known.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
        for (key, timings) in sorted {
            text += key + timings.map { "\t\($0.kernel)=\($0.microseconds)" }.joined() + "\n"
        }
        let bytes = Array(text.utf8)
        guard bytes.count <= maximumBytes else { return }
        let temporary = "\(path).\(getpid())"
        let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { return }
        let written = Glibc.write(file, bytes, bytes.count) == bytes.count && fsync(file) == 0
        close(file)
        guard written, rename(temporary, path) == 0 else {
            unlink(temporary)
            return
        }
    }
}
