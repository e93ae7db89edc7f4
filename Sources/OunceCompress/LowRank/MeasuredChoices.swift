import OunceTrain

/// How long layers and products were measured to take, kept so that a killed run goes on with what it had found.
struct MeasuredChoices {
    private var known: [String: TimePair] = [:]
    private let store: CheckpointStore?
    private static let maximumBytes = 1 << 20

    init(_ store: CheckpointStore? = nil) {
        self.store = store
        guard let store, let bytes = store.load(), bytes.count <= Self.maximumBytes else { return }
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        guard let first = lines.first, first == store.key else { return }
        for line in lines.dropFirst() {
            let fields = line.split(separator: "\t")
            guard fields.count == 3, let before = Double(String(fields[1])), let after = Double(String(fields[2])),
                before.isFinite, after.isFinite
            else { continue }
            known[String(fields[0])] = TimePair(before: before, after: after)
        }
    }

    subscript(key: String) -> TimePair? { known[key] }

    /// - Throws: `.output` where what was measured cannot be kept.
    mutating func add(_ key: String, _ times: TimePair) throws(CompressError) {
        known[key] = times
        guard let store else { return }
        let lines = known.sorted { $0.key < $1.key }.map { "\($0.key)\t\($0.value.before)\t\($0.value.after)\n" }
        try CompressError.wrapping(.output) { try store.save(Array((store.key + "\n" + lines.joined()).utf8)) }
    }
}
