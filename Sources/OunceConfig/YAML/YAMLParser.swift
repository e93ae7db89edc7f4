import CLibYAML

/// Reads one YAML document through libyaml into a tree, within bounds.
///
/// Anchors, aliases and tags are refused: a configuration needs none, and without them a document's meaning is no
/// larger than its text.
struct YAMLParser {
    static let maxBytes = 1 << 20
    static let maxDepth = 32
    static let maxNodes = 100_000

    private struct Frame {
        let mark: Mark
        let isMapping: Bool
        var items: [YAMLNode] = []
        var entries: [YAMLNode.Entry] = []
        var keys: Set<String> = []
        var key: (text: String, mark: Mark)?
    }

    /// An error after which the rest of the document cannot be read.
    private struct Stop: Error {}

    private let diagnostics: DiagnosticSink
    private var frames: [Frame] = []
    private var root: YAMLNode?
    private var nodes = 0
    private var documents = 0

    private init(_ diagnostics: DiagnosticSink) { self.diagnostics = diagnostics }

    /// - Returns: the document's root; nil where the text is not one YAML document within the bounds. What is wrong
    ///   goes to `diagnostics`, also where a tree is returned (a repeated key).
    static func parse(_ bytes: [UInt8], _ diagnostics: DiagnosticSink) -> YAMLNode? {
        guard bytes.count <= maxBytes else {
            diagnostics.report(
                .start, "the file has \(bytes.count) bytes, more than the \(maxBytes) that are read",
                "move what is no configuration out of it")
            return nil
        }
        var parser = YAMLParser(diagnostics)
        do throws(Stop) {
            try parser.run(bytes)
        } catch {
            return nil
        }
        if parser.root == nil { diagnostics.report(.start, "the file is empty", "write at least one key into it") }
        return parser.root
    }

    private mutating func run(_ bytes: [UInt8]) throws(Stop) {
        let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
        defer { parser.deallocate() }
        guard yaml_parser_initialize(parser) == 1 else {
            diagnostics.report(.start, "no memory to read the file", "free some memory")
            throw Stop()
        }
        defer { yaml_parser_delete(parser) }
        yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)

        let result: Result<Void, Stop> = bytes.withUnsafeBufferPointer { buffer in
            // libyaml asserts a non-null pointer; an empty array has none.
            var nothing: UInt8 = 0
            return withUnsafePointer(to: &nothing) { empty in
                yaml_parser_set_input_string(parser, buffer.baseAddress ?? empty, buffer.count)
                do throws(Stop) {
                    while try step(parser, bytes) {}
                    return .success(())
                } catch {
                    return .failure(error)
                }
            }
        }
        try result.get()
    }

    /// Takes one event. Returns false at the end of the stream.
    private mutating func step(
        _ parser: UnsafeMutablePointer<yaml_parser_t>, _ bytes: [UInt8]
    ) throws(Stop) -> Bool {
        var event = yaml_event_t()
        guard yaml_parser_parse(parser, &event) == 1 else {
            reportSyntaxError(parser.pointee, bytes)
            throw Stop()
        }
        defer { yaml_event_delete(&event) }
        let mark = Mark(event.start_mark)
        switch event.type {
        case YAML_STREAM_END_EVENT: return false
        case YAML_DOCUMENT_START_EVENT:
            documents += 1
            if documents > 1 {
                try stop(
                    mark, "a second document begins here", "keep one document in a file: remove '---' and the rest")
            }
        case YAML_ALIAS_EVENT:
            try stop(mark, "aliases ('*name') are not taken", "write the value out")
        case YAML_SCALAR_EVENT:
            let scalar = event.data.scalar
            try refuse(anchor: scalar.anchor, tag: scalar.tag, at: mark)
            let text = UnsafeBufferPointer(start: scalar.value, count: scalar.value == nil ? 0 : scalar.length)
            let plain = scalar.style == YAML_PLAIN_SCALAR_STYLE
            try attach(YAMLNode(mark: mark, content: .scalar(String(decoding: text, as: UTF8.self), plain: plain)))
        case YAML_SEQUENCE_START_EVENT:
            try refuse(anchor: event.data.sequence_start.anchor, tag: event.data.sequence_start.tag, at: mark)
            try open(Frame(mark: mark, isMapping: false))
        case YAML_MAPPING_START_EVENT:
            try refuse(anchor: event.data.mapping_start.anchor, tag: event.data.mapping_start.tag, at: mark)
            try open(Frame(mark: mark, isMapping: true))
        case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT:
            guard let frame = frames.popLast() else { throw Stop() }
            try attach(
                YAMLNode(
                    mark: frame.mark, content: frame.isMapping ? .mapping(frame.entries) : .sequence(frame.items)))
        default: break
        }
        return true
    }

    private mutating func open(_ frame: Frame) throws(Stop) {
        guard frames.count < Self.maxDepth else {
            try stop(frame.mark, "nested deeper than \(Self.maxDepth) levels", "flatten it")
        }
        if let parent = frames.last, parent.isMapping, parent.key == nil {
            try stop(frame.mark, "a key must be plain text, not a list or mapping", "write 'key: value'")
        }
        frames.append(frame)
    }

    /// Puts a finished node where it belongs: a key, a value, an item, or the root.
    private mutating func attach(_ node: YAMLNode) throws(Stop) {
        nodes += 1
        guard nodes <= Self.maxNodes else {
            try stop(node.mark, "more than \(Self.maxNodes) values", "move what is no configuration out of the file")
        }
        guard !frames.isEmpty else {
            root = node
            return
        }
        let top = frames.count - 1
        guard frames[top].isMapping else {
            frames[top].items.append(node)
            return
        }
        if let key = frames[top].key {
            frames[top].key = nil
            if frames[top].keys.insert(key.text).inserted {
                frames[top].entries.append(YAMLNode.Entry(key: key.text, keyMark: key.mark, value: node))
            } else {
                diagnostics.report(
                    key.mark, "the key \(quoted(key.text)) is there twice", "remove one of the two")
            }
        } else if case .scalar(let text, _) = node.content {
            frames[top].key = (text, node.mark)
        }
    }

    private func refuse(
        anchor: UnsafeMutablePointer<yaml_char_t>?, tag: UnsafeMutablePointer<yaml_char_t>?, at mark: Mark
    ) throws(Stop) {
        if anchor != nil { try stop(mark, "anchors ('&name') are not taken", "remove it and write the values out") }
        if tag != nil { try stop(mark, "tags ('!name') are not taken", "remove the tag") }
    }

    private func stop(_ mark: Mark, _ message: String, _ remedy: String) throws(Stop) -> Never {
        diagnostics.report(mark, message, remedy)
        throw Stop()
    }

    private func reportSyntaxError(_ parser: yaml_parser_t, _ bytes: [UInt8]) {
        let problem = parser.problem.map { String(cString: $0) } ?? "unknown problem"
        switch parser.error {
        case YAML_READER_ERROR:
            diagnostics.report(
                Mark(ofByte: Int(clamping: parser.problem_offset), in: bytes), "not a YAML text: \(problem)",
                "save the file as UTF-8 without control characters")
        case YAML_MEMORY_ERROR:
            diagnostics.report(.start, "no memory to read the file", "free some memory")
        default:
            let context = parser.context.map { " (\(String(cString: $0)))" } ?? ""
            diagnostics.report(
                Mark(parser.problem_mark), "not valid YAML: \(problem)\(context)",
                problem.contains("cannot start any token")
                    ? "quote the text, and indent with spaces instead of tabs"
                    : "check indentation, colons, quotes and brackets here and on the line before")
        }
    }
}

extension Mark {
    fileprivate init(_ mark: yaml_mark_t) {
        self.init(line: Int(clamping: mark.line) &+ 1, column: Int(clamping: mark.column) &+ 1)
    }

    /// The place of a byte; columns count the UTF-8 sequences that begin on its line.
    fileprivate init(ofByte offset: Int, in bytes: [UInt8]) {
        let before = bytes.prefix(offset)
        let line = before.count { $0 == UInt8(ascii: "\n") }
        let start = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        self.init(line: line + 1, column: before[start...].count { $0 & 0xC0 != 0x80 } + 1)
    }
}
