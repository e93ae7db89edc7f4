extension LowRank {
    /// The step's settings, in full, as YAML on one line.
    var snapshot: String {
        var fields = ["method: \(method.rawValue)"]
        switch target {
        case .energy(let share): fields.append("energy: \(ConfigSnapshot.decimal(share))")
        case .error(let part): fields.append("error: \(ConfigSnapshot.decimal(part))")
        case .ratio(let share): fields.append("ratio: \(ConfigSnapshot.decimal(share))")
        }
        if let dataAware { fields.append("data_aware: \(dataAware)") }
        fields.append("only_faster: \(onlyFaster)")
        func names(_ patterns: [GlobPattern]) -> String {
            ConfigSnapshot.list(patterns.map { ConfigSnapshot.text($0.text) })
        }
        if let layers = selection.layers { fields.append("layers: \(names(layers))") }
        if !selection.keep.isEmpty { fields.append("keep: \(names(selection.keep))") }
        if let kinds = selection.kinds {
            fields.append("kinds: \(ConfigSnapshot.list(kinds.map(\.rawValue).sorted()))")
        }
        if selection.minParameters > 0 { fields.append("min_parameters: \(selection.minParameters)") }
        if let fineTune { fields.append("fine_tune: {\(ConfigSnapshot.fields(fineTune))}") }
        return fields.joined(separator: ", ")
    }
}
