import Glibc

/// A configuration file, read and parsed but not yet decoded.
struct ConfigFile {
    let sink: DiagnosticSink
    /// nil: cannot be read, or is no YAML (then the sink says why).
    let root: YAMLNode?
    /// Why it cannot be read. Not in the sink: whoever named the file knows where to report it.
    let failure: ReadFailure?

    /// - Parameter path: as messages name it.
    init(path: String) {
        sink = DiagnosticSink(file: path)
        switch Self.read(path) {
        case .success(let bytes): (root, failure) = (YAMLParser.parse(bytes, sink), nil)
        case .failure(let failure): (root, self.failure) = (nil, failure)
        }
    }

    /// The whole document under the name that messages use for it.
    func document(_ name: String) -> Field? { root.map { Field(key: name, node: $0, sink: sink) } }

    struct ReadFailure: Error {
        let reason: String
        let remedy: String

        init(errno code: Int32) {
            reason = String(cString: strerror(code))
            remedy =
                switch code {
                case ENOENT: "correct the path, or create the file"
                case EACCES: "allow this user to read it"
                default: "name something readable"
                }
        }

        init(_ reason: String, _ remedy: String) {
            self.reason = reason
            self.remedy = remedy
        }
    }

    /// Reads at most one byte more than the parser takes, so that it can tell that a file is too long.
    private static func read(_ path: String) -> Result<[UInt8], ReadFailure> {
        // O_NONBLOCK: opening a FIFO must not hang.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return .failure(ReadFailure(errno: errno)) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return .failure(ReadFailure(errno: errno)) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            return .failure(ReadFailure("not a regular file", "name a YAML file"))
        }

        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while bytes.count <= YAMLParser.maxBytes {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count == 0 { break }
            if count < 0 {
                if errno == EINTR { continue }
                return .failure(ReadFailure(errno: errno))
            }
            bytes.append(contentsOf: chunk.prefix(count))
        }
        return .success(bytes)
    }
}
