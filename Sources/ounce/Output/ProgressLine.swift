import Glibc
import OunceCompress
import Synchronization

/// What a long command is doing, on stderr: a bar on a terminal, a line for each stage elsewhere.
final class ProgressLine: Sendable {
    private struct State {
        var stage = ""
        var shown = -1
        var started = time(nil)
    }
    private let state = Mutex(State())
    private let isTerminal = isatty(2) == 1
    private let isSilent: Bool

    init(isSilent: Bool = false) { self.isSilent = isSilent }

    func show(_ progress: CompressionProgress) {
        guard !isSilent, case .working(let stage, let share) = progress else { return }
        state.withLock { state in
            let percent = Int(max(0, min(1, share)) * 100)
            if stage != state.stage {
                if isTerminal { if !state.stage.isEmpty { Failure.write("\n") } } else { Failure.write("\(stage)\n") }
                state = State(stage: stage)
            }
            guard isTerminal, percent != state.shown else { return }
            state.shown = percent
            let filled = percent * 30 / 100
            let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: 30 - filled)
            let elapsed = time(nil) - state.started
            let left =
                percent > 0 && percent < 100 && elapsed > 1 ? "  \(elapsed * (100 - percent) / percent) s left" : ""
            Failure.write("\r\u{1B}[K\(bar) \(percent) %  \(stage)\(left)")
        }
    }

    func finish() {
        guard !isSilent, isTerminal else { return }
        Failure.write("\n")
    }
}
