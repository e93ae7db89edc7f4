extension FineTuning {
    init?(_ field: Field) {
        let keys = [
            "epochs", "loss", "optimizer", "learning_rate", "schedule", "warmup", "batch_size", "weight_decay", "clip",
            "temperature", "label_weight", "augment", "seed", "layers", "freeze",
        ]
        guard let fields = field.fields(keys) else { return nil }
        let loss = fields.optional("loss") { $0.choice(Loss.allCases.map { ($0.rawValue, $0) }) }
        for key in ["temperature", "label_weight"] where fields.has(key) {
            guard let loss, loss != .distill else { continue }
            fields.report(
                key, "'\(key)' has no effect without 'loss: distill'", "write 'loss: distill', or remove '\(key)'")
        }
        self.init(
            epochs: fields.optional("epochs") { $0.number(in: 0.01...10_000) } ?? 3, loss: loss ?? .distill,
            optimizer: fields.optional("optimizer") { $0.choice(Optimizer.allCases.map { ($0.rawValue, $0) }) }
                ?? .adamw,
            learningRate: fields.optional("learning_rate") { $0.number(in: 1e-9...100) },
            schedule: fields.optional("schedule") { $0.choice(Schedule.allCases.map { ($0.rawValue, $0) }) }
                ?? .cosine,
            warmup: fields.optional("warmup") { $0.share() } ?? 0,
            batchSize: fields.optional("batch_size") { $0.integer(in: 1...65_536) } ?? 64,
            weightDecay: fields.optional("weight_decay") { $0.number(in: 0...1) } ?? 0,
            clip: fields.optional("clip") { $0.number(in: 0...1e6) } ?? 1,
            temperature: fields.optional("temperature") { $0.number(in: 0.1...100) } ?? 2,
            labelWeight: fields.optional("label_weight") { $0.number(in: 0...100) } ?? 0,
            augmentation: fields.optional("augment") { Augmentation($0) } ?? Augmentation(),
            seed: fields.optional("seed") { $0.integer(in: 0...Int(Int32.max)) } ?? 0,
            layers: fields.optional("layers") { $0.patterns(atLeast: 1) },
            freeze: fields.optional("freeze") { $0.patterns(atLeast: 0) } ?? [])
    }
}

extension FineTuning.Augmentation {
    fileprivate init?(_ field: Field) {
        guard let fields = field.fields(["shift", "flip", "noise", "time_mask", "mixup"]) else { return nil }
        self.init(
            shift: fields.optional("shift") { $0.integer(in: 0...1024) } ?? 0,
            flip: fields.optional("flip") { $0.bool() } ?? false,
            noise: fields.optional("noise") { $0.number(in: 0...10) } ?? 0,
            timeMask: fields.optional("time_mask") { $0.integer(in: 0...65_536) } ?? 0,
            mixup: fields.optional("mixup") { $0.number(in: 0...4) } ?? 0)
    }
}

extension Field {
    /// A part of a whole: a number up to 1, or per cent.
    func share() -> Double? {
        scalar?.hasSuffix("%") == true
            ? quantity(.percentage, in: 0...100).map { $0 / 100 } : number(in: 0...1)
    }
}
