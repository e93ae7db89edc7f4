import Glibc
import Logging
import OunceConfig
import OunceRuntime
import OunceServer
import OunceService
import OunceSystem
import Synchronization

/// Puts the parts together and runs them until a signal.
enum Daemon {
    static let socketName = "ounce"
    private static let drainTime = Duration.seconds(10)

    /// Exit statuses of sysexits(3): 71 the system refused something, 78 the settings are wrong.
    static func run(configuration path: String) -> Int32 {
        let signals = Signals()
        let destination = LogDestination.detect()
        var logger = Logger(label: "ounced") { _ in destination.handler() }
        let loader = ConfigLoader(shareDirectories: InstalledFiles.shareDirectories)
        let configuration: ResolvedConfiguration
        do throws(ConfigError) {
            configuration = try loader.load(settingsAt: path)
        } catch {
            for diagnostic in error.diagnostics {
                logger.log(
                    .configurationRefused, .error, diagnostic.description,
                    [
                        "OUNCE_FILE": diagnostic.file, "OUNCE_LINE": "\(diagnostic.line)",
                        "OUNCE_COLUMN": "\(diagnostic.column)",
                    ])
                if destination == .journal { writeToStandardError(diagnostic.description + "\n") }
            }
            ServiceNotifier().status("The settings are wrong: \(error.diagnostics.first?.description ?? path)")
            return 78
        }
        logger.logLevel = Logger.Level(configuration.settings.logLevel)
        do {
            try serve(path, loader, configuration, logger, signals)
            return 0
        } catch {
            logger.log(.modelFailed, .critical, "\(error)")
            if destination == .journal { writeToStandardError("ounced: \(error)\n") }
            ServiceNotifier().status("\(error)")
            return 71
        }
    }

    /// Before any thread is started: they inherit it. A profile of another board may name CPUs that are not here.
    private static func keepTo(_ cpus: [Int], _ logger: Logger) {
        do throws(SystemError) {
            try Affinity.set(cpus)
        } catch {
            logger.warning("\(error.message); all CPUs are used")
        }
    }

    private static func serve(
        _ path: String, _ loader: ConfigLoader, _ configuration: ResolvedConfiguration, _ logger: Logger,
        _ signals: Signals
    ) throws {
        let notifier = ServiceNotifier()
        let profile = configuration.profile
        if case .cpus(let ids) = profile.cores { keepTo(ids, logger) }
        let probe = DeviceProbe()
        if !profile.namesCPUs, let fast = probe.fastest(profile.maxThreads(onlineCPUs: probe.onlineCores)) {
            keepTo(fast, logger)
        }
        let cache = try ArtifactCache(root: configuration.settings.stateDirectory)
        let store = ModelStore()
        let coordinator = Coordinator(
            path: path, loader: loader, configuration: configuration, store: store, cache: cache, probe: probe,
            logger: logger, notifier: notifier)
        let failures = FailureLog(logger)
        var sequenceLimits = SequenceLimits()
        sequenceLimits.maximum = configuration.settings.server.maxSequences
        sequenceLimits.idle = configuration.settings.server.sequenceTimeout
        let service = InferenceService(
            store: store, serverVersion: Ounce.version, sequenceLimits: sequenceLimits
        ) { failures.note($0, $1) }
        let control = Control(path: path, coordinator: coordinator, probe: probe)

        for model in configuration.models { store.announce(model.settings.name, "waiting to be prepared") }
        let listener = try Listener(configuration.settings.server)
        let server = try HTTPServer(
            socket: listener.descriptor, service: service, control: control,
            limits: limits(configuration, cores: probe.onlineCores))
        let watchdog = Watchdog(server: server, notifier: notifier) { coordinator.isBusy }
        watchdog.start()
        logger.log(
            .started, .notice,
            "ounced \(Ounce.version) serves on \(listener.path): \(probe.cpuModel), "
                + "\(probe.onlineCores) cores, \(probe.memoryBytes >> 20) MiB, profile \(configuration.profile.name)",
            ["OUNCE_VERSION": Ounce.version, "OUNCE_PROFILE": configuration.profile.name])
        coordinator.start()

        while case .reload = signals.next() { coordinator.reload { _ in } }

        logger.log(.stopping, .notice, "stopping")
        notifier.stopping("Finishing the requests that are under way")
        coordinator.stop(within: .seconds(2))
        server.shutdown(deadline: drainTime)
        listener.removePath()
    }

    private static func limits(_ configuration: ResolvedConfiguration, cores: Int) -> ServerLimits {
        let settings = configuration.settings.server
        var limits = ServerLimits()
        limits.maxBody = settings.maxRequest
        limits.maxBufferedBytes = max(limits.maxBufferedBytes, 2 * settings.maxRequest)
        limits.maxConnections = settings.maxConnections
        limits.maxPending = settings.maxConnections
        limits.workers = configuration.profile.maxThreads(onlineCPUs: cores)
        if let timeout = settings.requestTimeout { limits.requestTimeout = timeout }
        return limits
    }
}

/// The socket that clients connect to: the one the service manager passed, else one of our own.
struct Listener {
    let descriptor: Int32
    let path: String
    private let own: UnixSocket?

    init(_ settings: DaemonSettings.Server) throws {
        path = settings.socket
        if let inherited = try InheritedSockets.unixListener(named: Daemon.socketName) {
            descriptor = inherited
            own = nil
        } else {
            let socket = try UnixSocket(path: settings.socket, mode: settings.mode, group: settings.group)
            descriptor = socket.descriptor
            own = socket
        }
    }

    func removePath() { own?.unlinkIfOurs() }
}

/// Answers the server's questions about the daemon.
private struct Control: ServerControl {
    let path: String
    let coordinator: Coordinator
    let probe: DeviceProbe
    let started = ContinuousClock.now

    func daemonStatus() -> DaemonStatus {
        let profile = coordinator.configuration.profile
        return DaemonStatus(
            version: Ounce.version, pid: Int(getpid()), configuration: path, profile: profile.name,
            threads: profile.maxThreads(onlineCPUs: probe.onlineCores),
            device: .init(cpu: probe.cpuModel, cores: probe.onlineCores, memoryBytes: probe.memoryBytes),
            uptimeSeconds: Int((ContinuousClock.now - started).components.seconds), activity: coordinator.activity,
            lastReload: coordinator.lastReload)
    }

    func reload(_ finished: @escaping @Sendable (ReloadResult) -> Void) { coordinator.reload(finished) }
}

/// Logs requests that fail, at most one each second, so that a broken client does not fill the journal.
private final class FailureLog: Sendable {
    private let logger: Logger
    private let state = Mutex<(last: ContinuousClock.Instant?, suppressed: Int)>((nil, 0))

    init(_ logger: Logger) { self.logger = logger }

    func note(_ model: String, _ error: ServiceError) {
        let now = ContinuousClock.now
        let suppressed = state.withLock { state -> Int? in
            if let last = state.last, now - last < .seconds(1) {
                state.suppressed += 1
                return nil
            }
            defer { state = (now, 0) }
            return state.suppressed
        }
        guard let suppressed else { return }
        let more = suppressed > 0 ? " (and \(suppressed) more before)" : ""
        logger.log(
            .requestFailed, error.code == .internal ? .error : .info, "a request failed: \(error.message)\(more)",
            ["OUNCE_MODEL": String(model.prefix(256))])
    }
}

extension Logger.Level {
    init(_ level: DaemonSettings.LogLevel) {
        switch level {
        case .trace: self = .trace
        case .debug: self = .debug
        case .info: self = .info
        case .notice: self = .notice
        case .warning: self = .warning
        case .error: self = .error
        case .critical: self = .critical
        }
    }
}
