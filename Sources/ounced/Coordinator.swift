import Glibc
import Logging
import OunceConfig
import OunceRuntime
import OunceServer
import OunceService
import OunceSystem
import Synchronization

/// Brings what is served in line with the configuration, at the start and at each reload, one change at a time.
///
/// Everything new is prepared beside what is served, and swapped in when it is sound; whatever fails leaves the model
/// before it serving. Reloads that are asked for while one is under way are done together, after it.
final class Coordinator: Sendable {
    typealias Waiter = @Sendable (ReloadResult) -> Void

    private struct State {
        var isRunning = false
        var waiters: [Waiter] = []
        var isReloadWanted = false
        var configuration: ResolvedConfiguration
        /// What is served, by model.
        var served: [String: ModelPlan.Identity] = [:]
        var compressing: ChildProcess.Cancellation?
        var isStopping = false
        var lastReload: ReloadResult?
        var activity = "Starting"
        /// Something that may take minutes is under way; the service manager must be told.
        var isBusy = false
    }

    private let path: String
    private let loader: ConfigLoader
    private let store: ModelStore
    private let cache: ArtifactCache
    private let hasher = FileHasher()
    private let probe: DeviceProbe
    private let logger: Logger
    private let notifier: ServiceNotifier
    private let state: Mutex<State>

    init(
        path: String, loader: ConfigLoader, configuration: ResolvedConfiguration, store: ModelStore,
        cache: ArtifactCache, probe: DeviceProbe, logger: Logger, notifier: ServiceNotifier
    ) {
        self.path = path
        self.loader = loader
        self.store = store
        self.cache = cache
        self.probe = probe
        self.logger = logger
        self.notifier = notifier
        state = Mutex(State(configuration: configuration))
    }

    var configuration: ResolvedConfiguration { state.withLock { $0.configuration } }
    var activity: String { state.withLock { $0.activity } }
    var lastReload: ReloadResult? { state.withLock { $0.lastReload } }
    var isBusy: Bool { state.withLock { $0.isBusy } }

    /// Prepares the models of the first configuration on a thread of its own. READY=1 is sent when those whose
    /// artifacts exist are served; the others follow.
    func start() {
        state.withLock { $0.isRunning = true }
        let isStarted = startThread { [self] in
            _ = apply(configuration, onFirstServed: { self.notifier.ready($0) })
            report(summary)
            next()
        }
        if !isStarted { logger.log(.modelFailed, .critical, "no thread could be started; raise TasksMax") }
    }

    /// Reads the configuration again; `finished` is called when all is done.
    func reload(_ finished: @escaping Waiter) {
        let isFree = state.withLock { state -> Bool? in
            guard !state.isStopping else { return nil }
            state.waiters.append(finished)
            state.isReloadWanted = true
            defer { state.isRunning = true }
            return !state.isRunning
        }
        guard let isFree else { return finished(Self.stopped) }
        let work: @Sendable () -> Void = { [self] in if isFree { next() } else { cancelCompressingIfChanged() } }
        if !startThread(work) { work() }
    }

    /// Ends the child that compresses, if one runs, and waits for that; nothing new is begun.
    func stop(within limit: Duration) {
        let waiters = state.withLock { state in
            state.isStopping = true
            state.compressing?.cancel()
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter(Self.stopped) }
        let end = ContinuousClock.now + limit
        while state.withLock({ $0.compressing != nil }), ContinuousClock.now < end { usleep(5000) }
    }

    private static let stopped = ReloadResult(.partlyFailed, "the daemon is stopping")

    /// What is compressed now is of no use where the files say something else by now.
    private func cancelCompressingIfChanged() {
        guard state.withLock({ $0.compressing }) != nil, let wanted = try? loader.load(settingsAt: path) else { return }
        state.withLock { state in
            if wanted.canonicalHash != state.configuration.canonicalHash { state.compressing?.cancel() }
        }
    }

    /// Does reloads until none is wanted.
    private func next() {
        while let waiters = state.withLock({ state -> [Waiter]? in
            guard state.isReloadWanted, !state.isStopping else {
                state.isRunning = false
                return nil
            }
            state.isReloadWanted = false
            defer { state.waiters = [] }
            return state.waiters
        }) {
            let result = reloadNow()
            let isSuperseded = state.withLock { state in
                state.lastReload = result ?? state.lastReload
                // Cancelled for a newer one: whoever waits for this one waits for that.
                guard result == nil, state.isReloadWanted else { return false }
                state.waiters = waiters + state.waiters
                return true
            }
            guard !isSuperseded else { continue }
            let told = result ?? Self.stopped
            for waiter in waiters { waiter(told) }
        }
    }

    // MARK: One reload

    /// nil where it was cancelled.
    private func reloadNow() -> ReloadResult? {
        notifier.reloading()
        logger.log(.reloadStarted, .info, "reading \(path) again")
        let old = configuration
        let wanted: ResolvedConfiguration
        do throws(ConfigError) {
            wanted = try loader.load(settingsAt: path)
        } catch {
            for diagnostic in error.diagnostics {
                logger.log(
                    .reloadRefused, .error, diagnostic.description,
                    [
                        "OUNCE_FILE": diagnostic.file, "OUNCE_LINE": "\(diagnostic.line)",
                        "OUNCE_COLUMN": "\(diagnostic.column)",
                    ])
            }
            let first = error.diagnostics.first?.description ?? "\(path) is wrong"
            report("Reload refused, nothing changed: \(first)", isReady: true)
            return ReloadResult(.refused, error.description)
        }
        state.withLock { $0.configuration = wanted }
        let notes = restartNotes(old, wanted)
        for note in notes { logger.log(.reloadFinished, .warning, note) }
        let outcome = apply(wanted, onFirstServed: nil)
        guard !outcome.isCancelled else { return nil }
        let result = Self.result(outcome, notes)
        logger.log(
            result.isFailure ? .reloadRefused : .reloadFinished, result.isFailure ? .error : .notice,
            "reload: \(result.message)")
        report(result.isFailure ? "\(summary); \(result.message)" : summary, isReady: true)
        return result
    }

    private static func result(_ outcome: Outcome, _ notes: [String]) -> ReloadResult {
        if !outcome.problems.isEmpty {
            return ReloadResult(.partlyFailed, (outcome.problems + notes).joined(separator: "\n"))
        }
        if outcome.changes.isEmpty && notes.isEmpty { return ReloadResult(.unchanged, "nothing has changed") }
        return ReloadResult(.applied, (outcome.changes + notes).joined(separator: "; "))
    }

    private func restartNotes(_ old: ResolvedConfiguration, _ new: ResolvedConfiguration) -> [String] {
        var notes: [String] = []
        if old.settings.server != new.settings.server { notes.append("changes of 'server' need a restart") }
        if old.settings.stateDirectory != new.settings.stateDirectory { notes.append("a new 'state' needs a restart") }
        if old.settings.logLevel != new.settings.logLevel { notes.append("a new log level needs a restart") }
        return notes
    }

    // MARK: Applying

    private struct Outcome {
        var changes: [String] = []
        var problems: [String] = []
        var isCancelled = false
    }

    private func apply(_ wanted: ResolvedConfiguration, onFirstServed: ((String) -> Void)?) -> Outcome {
        var outcome = Outcome()
        var plans: [ModelPlan] = []
        for model in wanted.models {
            store.announce(model.settings.name, "waiting to be prepared")
            do throws(SystemError) {
                plans.append(try ModelPlan(model, of: wanted, cache: cache, hasher: hasher, cores: probe.onlineCores))
            } catch {
                fail(model.settings.name, error.message, &outcome)
            }
        }
        let shares = Preparer.memoryShares(plans, total: wanted.profile.memory.bytes(ofTotal: probe.memoryBytes))
        let served = state.withLock { $0.served }
        for plan in plans where served[plan.name] == plan.identity { store.clearProblem(plan.name) }
        let changed = plans.filter { served[$0.name] != $0.identity }

        // What is there already comes first, so that it does not wait for what is still to be made.
        var missing: [ModelPlan] = []
        for plan in changed {
            if access(plan.artifact, R_OK) != 0, case .source = plan.settings.origin {
                missing.append(plan)
            } else if !serve(plan, shares[plan.name], &outcome, mayCompressAgain: true) {
                missing.append(plan)
            }
        }
        onFirstServed?(summary)
        for plan in missing where !outcome.isCancelled { make(plan, wanted, shares[plan.name], &outcome) }

        guard !outcome.isCancelled else { return outcome }
        let names = Set(wanted.models.map(\.settings.name))
        for entry in store.entries where !names.contains(entry.name) {
            store.remove(entry.name)
            state.withLock { $0.served[entry.name] = nil }
            outcome.changes.append("\(entry.name) removed")
            logger.log(.modelRemoved, .notice, "model \(entry.name) is no longer served", ["OUNCE_MODEL": entry.name])
        }
        cache.prune(keeping: Set(plans.map(\.key) + state.withLock { $0.served.values.map(\.key) }))
        return outcome
    }

    /// Prepares and swaps. False: the artifact in the cache is damaged and was removed, so make it again.
    private func serve(
        _ plan: ModelPlan, _ memory: Int?, _ outcome: inout Outcome, mayCompressAgain: Bool
    ) -> Bool {
        do throws(RuntimeError) {
            let version = try Preparer.prepare(plan, memoryLimit: memory, cache: cache)
            store.swap(version)
            state.withLock { $0.served[plan.name] = plan.identity }
            outcome.changes.append("\(plan.name) now serves \(version.details.recipe), version \(version.version)")
            logger.log(
                .modelReady, .notice,
                "model \(plan.name) is ready: recipe \(version.details.recipe), "
                    + "\(version.details.artifactBytes) bytes, \(version.details.latencyMicroseconds) µs",
                [
                    "OUNCE_MODEL": plan.name, "OUNCE_RECIPE": version.details.recipe, "OUNCE_VERSION": version.version,
                    "OUNCE_LATENCY_US": "\(version.details.latencyMicroseconds)",
                ])
        } catch {
            if error.code == .corrupt, mayCompressAgain, case .source = plan.settings.origin {
                unlink(plan.artifact)
                return false
            }
            fail(plan.name, error.message, &outcome)
        }
        return true
    }

    private func make(_ plan: ModelPlan, _ wanted: ResolvedConfiguration, _ memory: Int?, _ outcome: inout Outcome) {
        let cancellation = ChildProcess.Cancellation()
        let isStopping = state.withLock { state in
            state.compressing = cancellation
            state.isBusy = true
            return state.isStopping
        }
        defer {
            state.withLock { state in
                state.compressing = nil
                state.isBusy = false
            }
        }
        guard !isStopping else {
            outcome.isCancelled = true
            return
        }
        let fields = ["OUNCE_MODEL": plan.name, "OUNCE_KEY": plan.key]
        logger.log(.compressStarted, .notice, "compressing model \(plan.name)", fields)
        progress(plan.name, "compressing")
        let limit = wanted.settings.compress.memory ?? wanted.profile.memory
        let job = CompressJob(
            plan: plan, profile: wanted.profile, memoryLimit: limit.bytes(ofTotal: probe.memoryBytes),
            timeout: wanted.settings.compress.timeout, cache: cache)
        let start = ContinuousClock.now
        var lastShown = start
        let result = job.run(cancellation: cancellation) { line in
            logger.debug("ounce compress: \(line)")
            guard ContinuousClock.now - lastShown > .seconds(1) else { return }
            lastShown = ContinuousClock.now
            progress(plan.name, "compressing: \(line)")
        }
        switch result {
        case .finished:
            logger.log(
                .compressFinished, .notice,
                "compressed model \(plan.name) in \((ContinuousClock.now - start).components.seconds) s", fields)
            _ = serve(plan, memory, &outcome, mayCompressAgain: false)
        case .cancelled: outcome.isCancelled = true
        case .failed(let reason):
            logger.log(.compressFailed, .error, "model \(plan.name) was not compressed: \(reason)", fields)
            fail(plan.name, reason, &outcome)
        }
    }

    private func fail(_ name: String, _ reason: String, _ outcome: inout Outcome) {
        store.fail(name, reason: reason)
        outcome.problems.append("\(name): \(reason)")
        logger.log(.modelFailed, .error, "model \(name) cannot be prepared: \(reason)", ["OUNCE_MODEL": name])
    }

    // MARK: Telling

    private func progress(_ name: String, _ text: String) {
        store.announce(name, text)
        report("\(summary); \(name): \(text)")
    }

    private func report(_ activity: String, isReady: Bool = false) {
        state.withLock { $0.activity = activity }
        if isReady { notifier.ready(activity) } else { notifier.status(activity) }
    }

    private var summary: String {
        let entries = store.entries
        let ready = entries.count { if case .ready = $0.state { true } else { false } }
        return "Serving \(ready) of \(entries.count) models"
    }
}
