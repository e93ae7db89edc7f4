extension Pruning {
    /// The settings as a recipe gives them.
    var snapshot: String {
        var fields: [String]
        switch what {
        case .weights: fields = ["what: weights"]
        case .blocks(let outputs, let inputs): fields = ["what: blocks", "block: \(outputs)x\(inputs)"]
        case .pattern(let kept, let group): fields = ["what: \"n:m\"", "pattern: \"\(kept):\(group)\""]
        case .channels: fields = ["what: channels"]
        case .heads: fields = ["what: heads"]
        }
        fields.append("importance: \(importance.rawValue)")
        if case .pattern = what {
        } else {
            switch amount {
            case .removed(let share): fields.append("ratio: \(ConfigSnapshot.decimal(share))")
            case .cost(let macs, let time):
                let parts = [
                    macs.map { "macs: \(ConfigSnapshot.decimal($0))" },
                    time.map { "time: \(ConfigSnapshot.decimal($0))" },
                ]
                fields.append("target: {\(parts.compactMap(\.self).joined(separator: ", "))}")
            }
            fields += ["scope: \(scope.rawValue)", "rounds: \(rounds)"]
            if rounds > 1 { fields.append("schedule: \(schedule.rawValue)") }
        }
        fields.append("reconstruct: \(reconstructs)")
        if let fineTuning { fields.append("fine_tune: {\(ConfigSnapshot.fields(fineTuning))}") }
        fields += ConfigSnapshot.fields(selection)
        fields.append("seed: \(seed)")
        return fields.joined(separator: ", ")
    }
}
