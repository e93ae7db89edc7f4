/// Why one node of a model is not imported.
enum ImportFailure: Error {
    /// The node is sound but this version does not do it; the text says what and how to mend it.
    case unsupported(String)
    /// The model is of no use.
    case fatal(FormatError)

    static func corrupt(_ message: String) -> ImportFailure { .fatal(FormatError(.corrupt, message)) }
}

/// Everything in a model that this version does not do, so that one error tells all of it.
struct UnsupportedList {
    private struct Entry {
        var op: String
        var reason: String
        var location: String
        var count = 1
    }
    private var entries: [Entry] = []
    private var places: [String: Int] = [:]

    var isEmpty: Bool { entries.isEmpty }

    mutating func add(op: String, at location: String, _ reason: String) {
        let key = "\(op)\n\(reason)"
        if let place = places[key] {
            entries[place].count += 1
        } else {
            places[key] = entries.count
            entries.append(Entry(op: op, reason: reason, location: location))
        }
    }

    /// - Throws: one error with a line for each kind of trouble; at most 50 lines.
    func check() throws(FormatError) {
        guard !entries.isEmpty else { return }
        var lines = entries.prefix(50).map { entry in
            let more = entry.count > 1 ? " and \(entry.count - 1) more" : ""
            return "  \(entry.op) ('\(entry.location)'\(more)): \(entry.reason)"
        }
        if entries.count > 50 { lines.append("  and \(entries.count - 50) more kinds") }
        throw FormatError(
            .unsupported, "the model uses what this version does not support:\n" + lines.joined(separator: "\n"))
    }
}
