/// A pattern for layer names: `*` stands for any text, `?` for one character, all else for itself.
package struct GlobPattern: Sendable, Hashable {
    package let text: String

    package init(_ text: String) { self.text = text }

    /// Takes at most length of pattern × length of name steps.
    package func matches(_ name: String) -> Bool {
        let (pattern, name) = (Array(text.unicodeScalars), Array(name.unicodeScalars))
        var (p, n) = (0, 0)
        // Where to go on when the text after the last star does not fit: the star takes one character more.
        var retry: (pattern: Int, name: Int)?
        while n < name.count {
            if p < pattern.count, pattern[p] == "*" {
                retry = (p + 1, n)
                p += 1
            } else if p < pattern.count, pattern[p] == "?" || pattern[p] == name[n] {
                p += 1
                n += 1
            } else if let last = retry {
                retry = (last.pattern, last.name + 1)
                (p, n) = (last.pattern, last.name + 1)
            } else {
                return false
            }
        }
        return pattern[p...].allSatisfy { $0 == "*" }
    }
}
