extension LowRank {
    init?(_ field: Field) {
        let keys = ["method", "energy", "error", "ratio", "data_aware", "only_faster", "fine_tune"]
        guard let fields = field.fields(keys + LayerSelection.keys) else { return nil }
        let given = ["energy", "error", "ratio"].filter { fields.has($0) }
        if given.count > 1 {
            fields.report(
                given[1], "'\(given[0])' and '\(given[1])' both say how ranks are found", "keep one of them")
        }
        let share = { (field: Field) in field.share() }
        let energy = fields.optional("energy", share).map { Target.energy($0) }
        let error = fields.optional("error", share).map { Target.error($0) }
        let ratio = fields.optional("ratio", share).map { Target.ratio($0) }
        self.init(
            method: fields.optional("method") { $0.choice(Method.allCases.map { ($0.rawValue, $0) }) } ?? .auto,
            target: energy ?? error ?? ratio ?? .energy(0.98),
            dataAware: fields.optional("data_aware") { $0.bool() },
            onlyFaster: fields.optional("only_faster") { $0.bool() } ?? true, selection: LayerSelection(fields),
            fineTune: fields.optional("fine_tune") { FineTuning($0) })
    }
}
