import Glibc
import OunceGraph

/// The file that kernel times are kept in: a header, then for each step its key and, separated by tabs, kernels with their
/// microseconds. It is small but read whenever a model is loaded, so only the lines that are asked for are taken apart.
struct TimingsFile: Sendable {
    private static let header = "ounce kernel times 1\n"
    private static let maximumBytes = 1 << 20
    private static let (newline, tab) = (UInt8(ascii: "\n"), UInt8(ascii: "\t"))

    private let text: [UInt8]
    /// Where in the text the line of a key is, by the key's hash.
    private let lines: [UInt64: Range<Int>]

    /// What is no such file reads as one that holds nothing.
    init(path: String) {
        guard let file = try? MappedFile(path: path, maximumBytes: Self.maximumBytes),
            file.bytes.starts(with: Self.header.utf8)
        else {
            (text, lines) = ([], [:])
            return
        }
        text = Array(file.bytes)
        var found: [UInt64: Range<Int>] = [:]
        var start = Self.header.utf8.count
        while start < text.count {
            let end = text[start...].firstIndex(of: Self.newline) ?? text.count
            let key = text[start..<end].firstIndex(of: Self.tab) ?? end
            found[StableHash.of(text[start..<key])] = start..<end
            start = end + 1
        }
        lines = found
    }

    /// nil where the step has no line, or none that makes sense.
    func timings(of key: String) -> [KernelTiming]? {
        lines[StableHash.of(key)].flatMap(parse).flatMap { $0.key == key ? $0.timings : nil }
    }

    /// Every line that makes sense.
    var all: [String: [KernelTiming]] {
        Dictionary(lines.values.compactMap(parse).map { ($0.key, $0.timings) }) { first, _ in first }
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
        for (key, timings) in known.sorted(by: { $0.key < $1.key }) {
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
