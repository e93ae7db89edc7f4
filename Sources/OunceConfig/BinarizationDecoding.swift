extension Binarization {
    init?(_ field: Field) {
        let own = ["keep_ends", "activations", "scaling", "estimator", "progressive", "fine_tune"]
        guard let fields = field.fields(LayerSelection.keys + own) else { return nil }
        let activations = fields.optional("activations") {
            $0.choice([("binary", Activations.binary), ("float32", .float32), ("none", .float32)])
        }
        if fields.has("progressive"), activations == .float32 {
            fields.report(
                "progressive", "'progressive' has no effect on 'activations: float32'",
                "write 'activations: binary', or remove 'progressive'")
        }
        self.init(
            selection: LayerSelection(fields), keepsEnds: fields.optional("keep_ends") { $0.bool() } ?? true,
            activations: activations ?? .binary,
            scaling: fields.optional("scaling") { $0.choice(Scaling.allCases.map { ($0.rawValue, $0) }) } ?? .learned,
            estimator: fields.optional("estimator") { $0.choice(Estimator.allCases.map { ($0.rawValue, $0) }) }
                ?? .approximate,
            isProgressive: fields.optional("progressive") { $0.bool() } ?? true,
            fineTuning: fields.optional("fine_tune") { FineTuning($0) } ?? Self.usualTraining)
    }
}
