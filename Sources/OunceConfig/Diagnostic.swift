/// One thing that is wrong in a configuration file: where, what, and how to mend it.
package struct Diagnostic: Sendable, Hashable, Codable, CustomStringConvertible {
    /// The file's path as it was named.
    package let file: String
    /// From 1.
    package let line: Int
    /// From 1, in Unicode scalars.
    package let column: Int
    /// What is wrong.
    package let message: String
    /// How to mend it.
    package let remedy: String

    package init(file: String, line: Int, column: Int, message: String, remedy: String) {
        self.file = file
        self.line = line
        self.column = column
        self.message = message
        self.remedy = remedy
    }

    /// `file:line:column: what is wrong; how to mend it`, on one line.
    package var description: String { "\(file):\(line):\(column): \(message); \(remedy)" }
}

/// Everything that was found wrong in one pass over a configuration, at least one diagnostic.
package struct ConfigError: Error, Sendable, Hashable, Codable, CustomStringConvertible {
    package let diagnostics: [Diagnostic]

    package init(_ diagnostics: [Diagnostic]) { self.diagnostics = diagnostics }

    /// One line for each diagnostic.
    package var description: String { diagnostics.map(\.description).joined(separator: "\n") }
}

/// Text from a file as it may stand in a message: one line, at most 40 characters, control characters escaped.
func quoted(_ text: some StringProtocol) -> String {
    var result = "'"
    var count = 0
    for scalar in text.unicodeScalars {
        guard count < 40 else { return result + "…'" }
        count += 1
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .unassigned, .privateUse:
            result += "\\u{\(String(scalar.value, radix: 16))}"
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result + "'"
}
