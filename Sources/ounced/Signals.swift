import Glibc

/// The signals that command the daemon. They are blocked in every thread and waited for in one.
struct Signals {
    enum Command { case reload, stop }

    private var set = sigset_t()

    /// Call it before any thread starts, so that all inherit the mask.
    init() {
        signal(SIGPIPE, SIG_IGN)
        sigemptyset(&set)
        for number in [SIGHUP, SIGTERM, SIGINT] { sigaddset(&set, number) }
        pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    /// Waits for the next one.
    func next() -> Command {
        var set = set
        var number: Int32 = 0
        while sigwait(&set, &number) != 0 {}
        return number == SIGHUP ? .reload : .stop
    }
}
