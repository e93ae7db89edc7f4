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
        guard !isSilent else { return }
        switch progress {
        case .working(let stage, let share): show(stage, share)
        case .training(let stage, let training):
            var detail = "  loss " + Text.number(training.loss, 4)
            if let accuracy = training.accuracy { detail += "  accuracy " + Text.number(accuracy * 100, 1) + " %" }
            detail += "  \(Int(training.secondsLeft.rounded(.up))) s left"
            show(stage, Double(training.step) / Double(max(training.steps, 1)), detail)
        }
    }

    private func show(_ stage: String, _ share: Double, _ detail: String? = nil) {
        state.withLock { state in
            let percent = Int(max(0, min(1, share)) * 100)
            if stage != state.stage {
                if isTerminal { if !state.stage.isEmpty { Failure.write("\n") } } else { Failure.write("\(stage)\n") }
                state = State(stage: stage)
            }
            guard isTerminal, percent != state.shown || detail != nil else { return }
            state.shown = percent
            let filled = percent * 30 / 100
            let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: 30 - filled)
            let elapsed = time(nil) - state.started
            let left =
                detail
                ?? (percent > 0 && percent < 100 && elapsed > 1
                    ? "  \(elapsed * (100 - percent) / percent) s left" : "")
            Failure.write("\r\u{1B}[K\(bar) \(percent) %  \(stage)\(left)")
        }
    }

    func finish() {
        guard !isSilent, isTerminal else { return }
        Failure.write("\n")
    }
}
