import Glibc
import OunceServer
import OunceService
import OunceSystem

/// Tells the service manager that the daemon makes progress, from a thread of its own.
///
/// A ping is sent only after the event loop has run something, so that a loop that hangs is noticed.
struct Watchdog: Sendable {
    let server: HTTPServer
    let notifier: ServiceNotifier
    /// Something that may take minutes is under way; the manager is asked for more time then.
    let isBusy: @Sendable () -> Bool

    func start() {
        let interval = notifier.watchdogInterval
        // Pings come twice in each interval, as sd_watchdog_enabled(3) advises.
        let pause = UInt32(clamping: min(interval.map { $0 / 2 } ?? 5_000_000, 5_000_000))
        _ = startThread {
            while true {
                usleep(max(pause, 1000))
                if interval != nil { server.ping { notifier.watchdog() } }
                if isBusy() { notifier.extendTimeout(seconds: 60) }
            }
        }
    }
}
