import Glibc
import OunceGraph

/// The folder of a model, whose other files may hold numbers of the model. Source: ONNX, "External Data".
///
/// Nothing outside the folder is read: neither by an absolute path, nor by way of `..` or a symbolic link.
final class ExternalFolder {
    private static let maximumBytes = 1 << 36

    private let path: String
    private var files: [String: MappedFile] = [:]
    /// Bytes that tensors claimed, many of which may be the same; what is made of them must stay in proportion.
    private var claimed = 0
    private var available = 1 << 28

    init(ofFile path: String) {
        let folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        self.path = folder.isEmpty ? "/" : folder
    }

    /// What the entries `location`, `offset` and `length` of a tensor name; a checksum is not looked at.
    func content(_ entries: [String: String]) throws(FormatError) -> FileBytes {
        guard let location = entries["location"], !location.isEmpty else {
            throw FormatError(.corrupt, "it lies in another file, but no file is named")
        }
        let content = FileBytes(try file(location))
        let offset = try number(entries["offset"], default: 0)
        let length = try number(entries["length"], default: content.count - min(offset, content.count))
        guard let part = content.part(at: offset, count: length) else {
            throw FormatError(
                .corrupt,
                "bytes \(offset) to \(offset &+ length) of '\(location)', which has \(content.count); copy that file again"
            )
        }
        claimed += length
        guard claimed <= available else {
            throw FormatError(.limit, "the tensors claim over and over the same bytes of '\(location)'")
        }
        return part
    }

    private func number(_ text: String?, default value: Int) throws(FormatError) -> Int {
        guard let text else { return value }
        guard let number = Int(text), number >= 0 else {
            throw FormatError(.corrupt, "'\(text.prefix(32))' is no place in a file")
        }
        return number
    }

    private func file(_ location: String) throws(FormatError) -> MappedFile {
        if let file = files[location] { return file }
        guard !location.hasPrefix("/"), !location.utf8.contains(0), location.utf8.count < Int(PATH_MAX) else {
            throw FormatError(.corrupt, "'\(location.prefix(200))' is no path within the model's folder")
        }
        guard let folder = Self.resolved(path) else {
            throw FormatError(.io, "the model's folder '\(path)' cannot be examined")
        }
        guard let target = Self.resolved("\(folder)/\(location)") else {
            throw FormatError(.io, "'\(location)' is not there; put that file beside the model, in \(path)")
        }
        guard target.hasPrefix(folder == "/" ? folder : folder + "/") else {
            throw FormatError(
                .corrupt, "'\(location)' leads out of the model's folder, to \(target); put that file beside the model")
        }
        let file = try FormatError.mapping(target, maximumBytes: Self.maximumBytes)
        files[location] = file
        available += 4 * file.bytes.count
        return file
    }

    /// The path without symbolic links and `..`; nil where it does not exist.
    private static func resolved(_ path: String) -> String? {
        guard let text = realpath(path, nil) else { return nil }
        defer { free(text) }
        return String(cString: text)
    }
}
