import Synchronization

/// Where a model stands.
package enum ModelState: Sendable {
    /// Not served yet; says what is being done.
    case loading(String)
    case ready(ModelVersion)
    case failed(reason: String)
    /// Was served, and is no longer.
    case unloaded
}

/// The models by name. A swap is atomic: each request gets the old or the new version whole, and the old one is freed
/// with its last request.
package final class ModelStore: Sendable {
    package struct Entry: Sendable {
        package let name: String
        package let state: ModelState
        package let statistics: ModelStatistics
        /// Why the last change was not applied while the old version goes on serving; nil: it was.
        package let lastProblem: String?
    }

    private struct Slot {
        var state: ModelState
        let statistics = ModelStatistics()
        var lastProblem: String?
    }

    private let slots = Mutex<[String: Slot]>([:])

    package init() {}

    /// Announces what is being done for a model. One that is served goes on being served.
    package func announce(_ name: String, _ progress: String) {
        slots.withLock { slots in
            if case .ready = slots[name]?.state { return }
            slots[name, default: Slot(state: .unloaded)].state = .loading(progress)
        }
    }

    /// Serves `loaded` from now on.
    package func swap(_ loaded: ModelVersion) {
        // The old version is freed outside the lock.
        let old = slots.withLock { slots -> ModelState? in
            let old = slots[loaded.name]?.state
            slots[loaded.name, default: Slot(state: .unloaded)].state = .ready(loaded)
            slots[loaded.name]?.lastProblem = nil
            return old
        }
        withExtendedLifetime(old) {}
    }

    /// Notes why a model cannot be prepared. A version that is served stays.
    package func fail(_ name: String, reason: String) {
        slots.withLock { slots in
            if case .ready = slots[name]?.state {
                slots[name]?.lastProblem = reason
            } else {
                slots[name, default: Slot(state: .unloaded)].state = .failed(reason: reason)
            }
        }
    }

    /// A change was taken back before it was applied.
    package func clearProblem(_ name: String) { slots.withLock { $0[name]?.lastProblem = nil } }

    package func remove(_ name: String) {
        let old = slots.withLock { $0.removeValue(forKey: name) }
        withExtendedLifetime(old) {}
    }

    /// The version to use for one request.
    ///
    /// - Parameter version: nil: whichever is served.
    /// - Throws: `.notFound`, or `.unavailable` for a model that is not ready.
    package func lease(
        _ name: String, version: String? = nil
    ) throws(ServiceError) -> (model: ModelVersion, statistics: ModelStatistics) {
        guard let slot = slots.withLock({ $0[name] }) else {
            throw ServiceError(.notFound, "there is no model '\(excerpt(name))'; GET /v2/ounce/status lists them")
        }
        switch slot.state {
        case .ready(let loaded):
            if let version, version != loaded.version {
                throw ServiceError(
                    .notFound,
                    "model '\(name)' has no version '\(excerpt(version))'; version '\(loaded.version)' is served")
            }
            return (loaded, slot.statistics)
        case .loading(let progress): throw ServiceError(.unavailable, "model '\(name)' is not ready: \(progress)")
        case .failed(let reason): throw ServiceError(.unavailable, "model '\(name)' cannot be served: \(reason)")
        case .unloaded: throw ServiceError(.unavailable, "model '\(name)' is not loaded")
        }
    }

    /// nil where there is no model of that name.
    package func entry(_ name: String) -> Entry? {
        slots.withLock { $0[name] }.map { Self.entry(name, $0) }
    }

    /// All models, by name.
    package var entries: [Entry] {
        slots.withLock { $0 }.map { Self.entry($0.key, $0.value) }.sorted { $0.name < $1.name }
    }

    private static func entry(_ name: String, _ slot: Slot) -> Entry {
        Entry(name: name, state: slot.state, statistics: slot.statistics, lastProblem: slot.lastProblem)
    }
}

/// At most 64 characters of what a client sent, for a message.
func excerpt(_ text: String) -> String {
    let short = text.unicodeScalars.prefix(64).map { $0.value < 32 || $0.value == 127 ? "?" : $0 }
    return String(String.UnicodeScalarView(short)) + (text.unicodeScalars.count > 64 ? "…" : "")
}
