import OunceRuntime

/// The answer of `GET /v2/ounce/status`, and what `ounce status` shows.
package struct ServerStatus: Codable, Sendable, Hashable {
    package var daemon: DaemonStatus?
    package var models: [ModelStatus]
}

package struct ModelStatus: Codable, Sendable, Hashable {
    package enum State: String, Codable, Sendable, Hashable { case loading, ready, failed, unloaded }

    /// In microseconds, from the last byte of the request to the finished reply.
    package struct Latency: Codable, Sendable, Hashable {
        package var p50: Double
        package var p90: Double
        package var p99: Double
    }

    package var name: String
    package var state: State
    /// What is being done, or why it failed.
    package var reason: String?
    /// Why the last change was not applied, while the version before is served.
    package var lastProblem: String?
    package var version: String?
    package var key: String?
    package var profile: String?
    package var recipe: String?
    /// Accuracy, size and latency before and after, as measured when it was compressed.
    package var report: Report?
    package var artifactBytes: Int?
    package var memoryBytes: Int?
    /// Of one inference when it was prepared on this device, in microseconds.
    package var measuredLatency: Int?
    package var requests: Int
    package var failures: Int
    package var latency: Latency?

    init(_ entry: ModelStore.Entry) {
        let statistics = entry.statistics.snapshot
        name = entry.name
        lastProblem = entry.lastProblem
        requests = Int(clamping: statistics.success.count)
        failures = Int(clamping: statistics.failure.count)
        let histogram = statistics.latency
        if let p50 = histogram.percentile(50), let p90 = histogram.percentile(90), let p99 = histogram.percentile(99) {
            latency = Latency(p50: Double(p50) / 1000, p90: Double(p90) / 1000, p99: Double(p99) / 1000)
        }
        switch entry.state {
        case .loading(let progress):
            state = .loading
            reason = progress
        case .failed(let why):
            state = .failed
            reason = why
        case .unloaded: state = .unloaded
        case .ready(let loaded):
            state = .ready
            version = loaded.version
            key = loaded.details.key
            profile = loaded.details.profile
            recipe = loaded.details.recipe
            report = loaded.details.report
            artifactBytes = loaded.details.artifactBytes
            memoryBytes = loaded.model.memoryBytes
            measuredLatency = loaded.details.latencyMicroseconds > 0 ? loaded.details.latencyMicroseconds : nil
        }
    }
}
