/// Writes a profile or recipe as YAML that reads back with the same hash.
///
/// The child that compresses gets these files, not the user's: what it applies is then what the artifact's key names,
/// also where the user edits meanwhile.
package enum ConfigSnapshot {
    package static func yaml(_ profile: DeviceProfile) -> String {
        let cores =
            switch profile.cores {
            case .auto: "auto"
            case .count(let count): String(count)
            case .cpus(let ids): list(ids.map(String.init))
            }
        let memory =
            switch profile.memory {
            case .auto: "auto"
            case .bytes(let bytes): "\(bytes)B"
            case .percent(let percent): decimal(percent) + "%"
            }
        var lines = [
            "name: \(text(profile.name))", "cores: \(cores)", "memory: \(memory)", "simd: \(simd(profile.simd))",
        ]
        if let power = profile.power {
            let sensor =
                switch power.sensor {
                case .auto: "auto"
                case .none: "none"
                case .path(let path): text(path)
                }
            lines.append(
                "power: {budget: \(decimal(power.budget))W, idle: \(decimal(power.idle))W, "
                    + "per_core: \(decimal(power.perCore))W, sensor: \(sensor)}")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    package static func yaml(_ recipe: Recipe) -> String {
        let steps = recipe.steps.map { step in
            switch step {
            case .quantize(let quantization): "quantize: {\(fields(quantization))}"
            case .fineTune(let tuning): "fine_tune: {\(fields(tuning))}"
            case .binarize(let binarization): "binarize: {\(fields(binarization))}"
            case .lowRank(let lowRank): "low_rank: {\(lowRank.snapshot)}"
            case .prune(let pruning): "prune: {\(pruning.snapshot)}"
            }
        }
        let samples = recipe.samples == .synthetic ? "samples: synthetic\n" : ""
        return "name: \(text(recipe.name))\n\(samples)steps:\(steps.isEmpty ? " []" : "")\n"
            + steps.map { "  - \($0)\n" }.joined()
    }

    private static func simd(_ simd: DeviceProfile.SIMD) -> String {
        guard case .limited(let width, let features) = simd else { return "auto" }
        let parts = [
            width.map { "width: \($0)" }, features.map { "features: \(list($0.map(\.rawValue).sorted()))" },
        ]
        return "{" + parts.compactMap(\.self).joined(separator: ", ") + "}"
    }

    private static func fields(_ binarization: Binarization) -> String {
        var fields = fields(binarization.selection)
        fields += [
            "keep_ends: \(binarization.keepsEnds)", "activations: \(binarization.activations.rawValue)",
            "scaling: \(binarization.scaling.rawValue)", "estimator: \(binarization.estimator.rawValue)",
        ]
        if binarization.activations == .binary { fields.append("progressive: \(binarization.isProgressive)") }
        fields.append("fine_tune: {\(Self.fields(binarization.fineTuning))}")
        return fields.joined(separator: ", ")
    }

    static func fields(_ selection: LayerSelection) -> [String] {
        var fields: [String] = []
        if let layers = selection.layers { fields.append("layers: \(list(layers.map(\.text).sorted().map(text)))") }
        if !selection.keep.isEmpty { fields.append("keep: \(list(selection.keep.map(\.text).sorted().map(text)))") }
        if let kinds = selection.kinds { fields.append("kinds: \(list(kinds.map(\.rawValue).sorted()))") }
        if selection.minParameters > 0 { fields.append("min_parameters: \(selection.minParameters)") }
        return fields
    }

    static func fields(_ tuning: FineTuning) -> String {
        let augmentation = tuning.augmentation
        var fields = [
            "epochs: \(decimal(tuning.epochs))", "loss: \(tuning.loss.rawValue)",
            "optimizer: \(tuning.optimizer.rawValue)", "learning_rate: \(decimal(tuning.rate))",
            "schedule: \(tuning.schedule.rawValue)", "warmup: \(decimal(tuning.warmup))",
            "batch_size: \(tuning.batchSize)", "weight_decay: \(decimal(tuning.weightDecay))",
            "clip: \(decimal(tuning.clip))", "seed: \(tuning.seed)",
            "augment: {shift: \(augmentation.shift), flip: \(augmentation.flip), "
                + "noise: \(decimal(augmentation.noise)), time_mask: \(augmentation.timeMask), "
                + "mixup: \(decimal(augmentation.mixup))}",
        ]
        if tuning.loss == .distill {
            fields += [
                "temperature: \(decimal(tuning.temperature))", "label_weight: \(decimal(tuning.labelWeight))",
            ]
        }
        if let layers = tuning.layers { fields.append("layers: \(list(layers.map { text($0.text) }))") }
        fields.append("freeze: \(list(tuning.freeze.map { text($0.text) }))")
        return fields.joined(separator: ", ")
    }

    private static func fields(_ quantization: Quantization) -> String {
        let isHalf = quantization.weights.format.kind == .float16
        var fields = isHalf ? ["weights: float16"] : weights(quantization.weights)
        fields.append("activations: \(quantization.activations.rawValue)")
        // What float16 weights make senseless is refused when it is read.
        if !isHalf { fields += ["per_channel: \(quantization.perChannel)", "symmetric: \(quantization.symmetric)"] }
        switch quantization.calibration {
        case .minmax: fields.append("calibration: minmax")
        case .mse: fields.append("calibration: mse")
        case .entropy: fields.append("calibration: entropy")
        case .percentile(let percent): fields += ["calibration: percentile", "percentile: \(decimal(percent))%"]
        }
        fields += [
            "min_input_sqnr: \(decimal(quantization.minInputSQNR))", "float_output: \(quantization.floatOutput)",
        ]
        if let tuning = quantization.fineTune { fields.append("fine_tune: {\(self.fields(tuning))}") }
        if let kinds = quantization.selection.kinds { fields.append("kinds: \(list(kinds.map(\.rawValue).sorted()))") }
        let least = quantization.selection.minParameters
        if least > 0 { fields.append("min_parameters: \(least)") }
        if let layers = quantization.layers { fields.append("layers: \(list(layers.map { text($0.text) }))") }
        if !quantization.keepFloat.isEmpty {
            fields.append("keep_float: \(list(quantization.keepFloat.map { text($0.text) }))")
        }
        if quantization.equalize { fields.append("equalize: true") }
        return fields.joined(separator: ", ")
    }

    private static func weights(_ weights: WeightSettings) -> [String] {
        var fields = [format(weights.format), "rounding: \(weights.rounding.rawValue)"]
        if !weights.overrides.isEmpty {
            let overrides = weights.overrides.map {
                "{\((Self.fields($0.selection) + [format($0.format)]).joined(separator: ", "))}"
            }
            fields.append("overrides: \(list(overrides))")
        }
        if !weights.keepsEnds { fields.append("first_last: same") }
        return fields
    }

    private static func format(_ format: WeightFormat) -> String {
        let group = format.isNarrow ? ", group: \(format.group.map(String.init) ?? "none")" : ""
        return "weights: \(format.kind.rawValue)\(group)"
    }

    static func list(_ items: [String]) -> String { "[" + items.joined(separator: ", ") + "]" }

    /// Without an exponent, which quantities with a unit do not take.
    static func decimal(_ value: Double) -> String {
        let plain = value.description
        guard plain.contains("e") else { return plain }
        if value >= 1 { return String(UInt64(value)) }
        let digits = String(UInt64((value * 1e18).rounded()))
        return "0." + String(repeating: "0", count: max(0, 18 - digits.count)) + digits
    }

    /// In double quotes, with what YAML would read as something else escaped.
    static func text(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x22, 0x5C: result += "\\\(scalar)"
            case 0x20...0x7E: result.unicodeScalars.append(scalar)
            default:
                let digits = String(scalar.value, radix: 16)
                result += "\\U" + String(repeating: "0", count: 8 - digits.count) + digits
            }
        }
        return result + "\""
    }
}
