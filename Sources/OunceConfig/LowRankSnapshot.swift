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
        fields += ConfigSnapshot.fields(selection)
        if let fineTune { fields.append("fine_tune: {\(ConfigSnapshot.fields(fineTune))}") }
        return fields.joined(separator: ", ")
    }
}
