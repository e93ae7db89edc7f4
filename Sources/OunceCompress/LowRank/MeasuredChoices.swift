import OunceTrain

/// Which products were measured faster, kept so that a killed run goes on with what it had found.
struct MeasuredChoices {
    private var known: [String: Bool] = [:]
    private let store: CheckpointStore?
    private static let maximumBytes = 1 << 20

    init(_ store: CheckpointStore? = nil) {
        self.store = store
        guard let store, let bytes = store.load(), bytes.count <= Self.maximumBytes else { return }
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        guard let first = lines.first, first == store.key else { return }
        for line in lines.dropFirst() {
            let fields = line.split(separator: "\t")
            guard fields.count == 2, fields[1] == "1" || fields[1] == "0" else { continue }
            known[String(fields[0])] = fields[1] == "1"
        }
    }

    subscript(key: String) -> Bool? { known[key] }

    /// - Throws: `.output` where what was measured cannot be kept.
    mutating func add(_ key: String, _ isFaster: Bool) throws(CompressError) {
        known[key] = isFaster
        guard let store else { return }
        let lines = known.sorted { $0.key < $1.key }.map { "\($0.key)\t\($0.value ? 1 : 0)\n" }
        try CompressError.wrapping(.output) { try store.save(Array((store.key + "\n" + lines.joined()).utf8)) }
    }
}
