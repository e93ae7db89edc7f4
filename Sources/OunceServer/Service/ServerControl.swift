import OunceRuntime

/// What the server asks of the daemon around it.
package protocol ServerControl: Sendable {
    /// About the daemon itself; the server adds the models.
    func daemonStatus() -> DaemonStatus

    /// Reads the configuration again. `finished` is called once, from any thread, when all is done.
    func reload(_ finished: @escaping @Sendable (ReloadResult) -> Void)
}

/// How a reload ended.
package struct ReloadResult: Codable, Sendable, Hashable {
    package enum Outcome: String, Codable, Sendable, Hashable {
        /// Everything is as the files say.
        case applied
        /// The files say what they said before.
        case unchanged
        /// The files are wrong; nothing was changed.
        case refused
        /// Some models could not be prepared; where they were served before, they still are, as they were.
        case partlyFailed = "partly_failed"
    }
    package var outcome: Outcome
    package var message: String

    package init(_ outcome: Outcome, _ message: String) {
        self.outcome = outcome
        self.message = message
    }

    package var isFailure: Bool { outcome == .refused || outcome == .partlyFailed }
}

/// The daemon's part of `GET /v2/ounce/status`.
package struct DaemonStatus: Codable, Sendable, Hashable {
    package struct Device: Codable, Sendable, Hashable {
        package var cpu: String
        package var cores: Int
        package var memoryBytes: Int

        package init(cpu: String, cores: Int, memoryBytes: Int) {
            self.cpu = cpu
            self.cores = cores
            self.memoryBytes = memoryBytes
        }
    }

    package var version: String
    package var pid: Int
    /// The settings file.
    package var configuration: String
    package var profile: String
    /// For one inference.
    package var threads: Int
    package var device: Device
    package var uptimeSeconds: Int
    /// What the daemon is doing now, as `systemctl status` shows it.
    package var activity: String
    package var lastReload: ReloadResult?

    package init(
        version: String, pid: Int, configuration: String, profile: String, threads: Int, device: Device,
        uptimeSeconds: Int, activity: String, lastReload: ReloadResult?
    ) {
        self.version = version
        self.pid = pid
        self.configuration = configuration
        self.profile = profile
        self.threads = threads
        self.device = device
        self.uptimeSeconds = uptimeSeconds
        self.activity = activity
        self.lastReload = lastReload
    }
}
