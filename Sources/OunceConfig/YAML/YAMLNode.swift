/// A place in a YAML file, both from 1.
struct Mark: Sendable, Hashable {
    let line: Int
    let column: Int

    static let start = Mark(line: 1, column: 1)
}

/// A YAML document as a tree. Scalars keep their text; the decoder resolves them by what it expects.
struct YAMLNode: Sendable {
    struct Entry: Sendable {
        let key: String
        let keyMark: Mark
        let value: YAMLNode
    }

    enum Content: Sendable {
        /// `plain`: written without quotes.
        case scalar(String, plain: Bool)
        case sequence([YAMLNode])
        case mapping([Entry])
    }

    let mark: Mark
    let content: Content

    var isNull: Bool {
        if case .scalar(let text, plain: true) = content, case .null = PlainScalar(text) { return true }
        return false
    }

    /// What a message calls it.
    var summary: String {
        switch content {
        case .scalar(let text, let plain):
            if isNull { return "nothing" }
            return plain ? quoted(text) : "the quoted text \(quoted(text))"
        case .sequence: return "a list"
        case .mapping: return "a mapping"
        }
    }
}
