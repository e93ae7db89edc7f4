import OunceCompress
import OunceRuntime

/// The before/after table that people see.
struct ReportText {
    let report: Report
    let metric: Metric?

    func write(output: String) {
        write()
        print("\nwrote \(output)")
    }

    func write() {
        let (before, after) = (report.before, report.after)
        var table = Table(header: ["", "before", "after", ""])
        if let old = before.accuracy, let new = after.accuracy {
            let drop = metric.map { $0.drop(from: old.value, to: new.value) } ?? 0
            let unit = metric == .mse ? "%" : "points"
            table.add([
                "\(new.metric), \(new.samples) samples", accuracy(old), accuracy(new),
                (drop > 0 ? "-" : "+") + Text.number(abs(drop), 2) + " " + unit,
            ])
        } else {
            table.add(["accuracy", "unverified", "unverified", "no validation data"])
        }
        table.add([
            "size", Text.bytes(before.bytes), Text.bytes(after.bytes),
            Text.number(Double(before.bytes) / Double(max(after.bytes, 1)), 2) + "x smaller",
        ])
        let threads = "\(after.threads) thread\(after.threads == 1 ? "" : "s")"
        table.add([
            "latency, \(threads)", Text.milliseconds(before.latencyMilliseconds),
            Text.milliseconds(after.latencyMilliseconds),
            Text.number(before.latencyMilliseconds / max(after.latencyMilliseconds, 1e-9), 2) + "x faster",
        ])
        if let old = before.macs, let new = after.macs, old != new {
            table.add([
                "multiply-accumulates", Text.count(old), Text.count(new),
                Text.number(Double(old) / Double(max(new, 1)), 2) + "x fewer",
            ])
        }
        table.add(["memory when it runs", Text.bytes(before.memoryBytes), Text.bytes(after.memoryBytes), ""])
        if let old = before.millijoules, let new = after.millijoules {
            table.add(["energy (estimate)", Text.number(old, 3) + " mJ", Text.number(new, 3) + " mJ", ""])
        }
        print("recipe \(report.recipe): \(report.reason)\n")
        table.write()
        if let caution = report.caution { print("accuracy may flatter: \(caution)") }
        writeSteps()
        let refused = report.candidates.filter { $0.refusal != nil }
        if !refused.isEmpty { print() }
        for candidate in refused { print("refused \(candidate.recipe): \(candidate.refusal ?? "")") }
    }

    /// What each step came to, where there are several or one has something to tell.
    private func writeSteps() {
        let steps = report.steps ?? []
        guard steps.count > 1 || steps.contains(where: { $0.note != nil }) else { return }
        var table = Table(header: ["after", "accuracy", "95 % between", "size", "MACs", "latency"])
        for (name, figures) in [("(float model)", report.before)] + steps.map({ ($0.name, $0.after) }) {
            table.add([
                name, figures.accuracy.map { Text.accuracy(metric, $0.value) } ?? "unverified",
                figures.accuracy?.confidence.map(interval) ?? "", Text.bytes(figures.bytes),
                figures.macs.map(Text.count) ?? "", Text.milliseconds(figures.latencyMilliseconds),
            ])
        }
        print()
        table.write()
        for step in steps { if let note = step.note { print("\(step.name): \(note)") } }
    }

    private func interval(_ confidence: Report.Confidence) -> String {
        "\(Text.accuracy(metric, confidence.low)) and \(Text.accuracy(metric, confidence.high))"
    }

    private func accuracy(_ accuracy: Report.Accuracy) -> String {
        "\(Text.accuracy(metric, accuracy.value)) ± \(Text.accuracy(metric, accuracy.standardError))"
    }
}
