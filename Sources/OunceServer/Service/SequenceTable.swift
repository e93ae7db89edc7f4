import OunceRuntime
import Synchronization

/// Names one stream of a model: what a client gives as `sequence_id`.
package enum SequenceID: Sendable, Hashable, CustomStringConvertible {
    case number(UInt64)
    case text(String)

    package var description: String {
        switch self {
        case .number(let number): "\(number)"
        case .text(let text): "'\(excerpt(text))'"
        }
    }
}

/// A request's place in a sequence of requests that share the model's states.
///
/// Source: the sequence extension of the Triton Inference Server.
package struct SequenceControl: Sendable, Hashable {
    package var id: SequenceID
    /// The first request: from the initial states.
    package var isStart: Bool
    /// The last request: what is kept is dropped after it.
    package var isEnd: Bool

    package init(id: SequenceID, isStart: Bool = false, isEnd: Bool = false) {
        self.id = id
        self.isStart = isStart
        self.isEnd = isEnd
    }
}

/// How many sequences are kept.
package struct SequenceLimits: Sendable, Hashable {
    /// For each model; where one more starts, the least recently used goes.
    package var maximum = 64
    /// A sequence without a request for so long is over.
    package var idle: Duration = .seconds(60)

    package init() {}
}

/// The sequences of one version of a model. They end with it.
final class SequenceTable: Sendable {
    private struct Entry {
        let stream: StreamState
        /// `Clock.nanoseconds()`.
        var lastUse: UInt64
    }

    private let entries = Mutex<[SequenceID: Entry]>([:])

    var count: Int { entries.withLock { $0.count } }

    /// The stream that a request goes on with, or a new one.
    ///
    /// - Throws: `.invalid` for a sequence that is not there and is not started, `.unavailable` where there is no memory.
    func stream(
        for sequence: SequenceControl, of loaded: ModelVersion, limits: SequenceLimits, now: UInt64
    ) throws(ServiceError) -> StreamState {
        if sequence.isStart { return try start(sequence.id, loaded.model, limits, now) }
        let found = entries.withLock { entries -> StreamState? in
            guard let entry = entries[sequence.id], !Self.isOver(entry, limits, now) else { return nil }
            entries[sequence.id]?.lastUse = now
            return entry.stream
        }
        guard let found else {
            throw ServiceError(
                .invalid,
                "model '\(loaded.name)' keeps no sequence \(sequence.id): it was not started, has ended, was idle for over "
                    + "\(limits.idle), gave way to newer ones (\(limits.maximum) are kept) or went with a reload; begin it "
                    + "again with sequence_start")
        }
        return found
    }

    private func start(
        _ id: SequenceID, _ model: any ServedModel, _ limits: SequenceLimits, _ now: UInt64
    ) throws(ServiceError) -> StreamState {
        entries.withLock { entries in
            entries[id] = nil
            entries = entries.filter { !Self.isOver($0.value, limits, now) }
        }
        while true {
            do throws(RuntimeError) {
                let stream = try model.makeStream()
                entries.withLock { entries in
                    entries[id] = nil
                    while entries.count >= max(limits.maximum, 1), Self.dropOldest(&entries) {}
                    entries[id] = Entry(stream: stream, lastUse: now)
                }
                return stream
            } catch {
                guard error.code == .memory, entries.withLock({ Self.dropOldest(&$0) }) else {
                    throw ServiceError(error)
                }
            }
        }
    }

    /// Forgets a sequence that has ended, unless another has been started under its name.
    func end(_ id: SequenceID, _ stream: StreamState) {
        entries.withLock { entries in
            if entries[id]?.stream === stream { entries[id] = nil }
        }
    }

    private static func isOver(_ entry: Entry, _ limits: SequenceLimits, _ now: UInt64) -> Bool {
        now > entry.lastUse && now - entry.lastUse > UInt64(clamping: limits.idle.nanoseconds)
    }

    /// False where there is none.
    private static func dropOldest(_ entries: inout [SequenceID: Entry]) -> Bool {
        guard let oldest = entries.min(by: { $0.value.lastUse < $1.value.lastUse }) else { return false }
        entries[oldest.key] = nil
        return true
    }
}
