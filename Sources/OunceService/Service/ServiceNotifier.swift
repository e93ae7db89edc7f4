import CSystemd
import Glibc

/// Tells the service manager how the daemon does (sd_notify(3)); does nothing where no manager asked for it.
package struct ServiceNotifier: Sendable {
    package init() {}

    /// The service has started, or has finished reloading.
    package func ready(_ status: String) { send("READY=1\n" + line("STATUS", status)) }

    package func status(_ text: String) { send(line("STATUS", text)) }

    /// The configuration is being read again. Both fields travel in one datagram, as Type=notify-reload wants.
    package func reloading() {
        send("RELOADING=1\nMONOTONIC_USEC=\(Self.monotonicMicroseconds())\nSTATUS=Reloading the configuration\n")
    }

    package func stopping(_ status: String) { send("STOPPING=1\n" + line("STATUS", status)) }

    package func watchdog() { send("WATCHDOG=1\n") }

    /// Asks for `seconds` more before a start or stop counts as failed.
    package func extendTimeout(seconds: Int) {
        send("EXTEND_TIMEOUT_USEC=\(seconds.clamped(to: 1...86_400) * 1_000_000)\n")
    }

    /// How often the manager expects `watchdog()`, in microseconds; nil: it does not.
    package var watchdogInterval: UInt64? {
        var interval: UInt64 = 0
        return sd_watchdog_enabled(0, &interval) > 0 && interval > 0 ? interval : nil
    }

    private func line(_ key: String, _ text: String) -> String {
        "\(key)=\(String(text.map { $0.isNewline ? " " : $0 }))\n"
    }

    private func send(_ state: String) { sd_notify(0, state) }

    private static func monotonicMicroseconds() -> UInt64 {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return UInt64(now.tv_sec) * 1_000_000 + UInt64(now.tv_nsec) / 1000
    }
}

extension Int {
    fileprivate func clamped(to range: ClosedRange<Int>) -> Int {
        Swift.min(Swift.max(self, range.lowerBound), range.upperBound)
    }
}
