extension Recipe {
    static let keys = ["name", "description", "samples", "steps"]

    /// - Parameter inlineName: the name where the recipe needs none of its own, because it stands inside the settings.
    init?(_ field: Field, inlineName: String? = nil) {
        if let inlineName, case .sequence = field.node.content {
            guard let steps = Self.steps(field) else { return nil }
            self.init(name: inlineName, steps: steps)
            return
        }
        guard let fields = field.fields(Self.keys) else { return nil }
        let name =
            inlineName != nil && !fields.has("name") ? inlineName : fields.required("name") { $0.name() }
        let description = fields.optional("description") { $0.text() }
        let samples = fields.optional("samples") { $0.choice(Samples.allCases.map { ($0.rawValue, $0) }) }
        let steps = fields.required("steps", Self.steps)
        guard let name, let steps else { return nil }
        self.init(name: name, description: description, samples: samples ?? .given, steps: steps)
    }

    private static func steps(_ field: Field) -> [RecipeStep]? {
        field.list(count: 0...64) { RecipeStep($0) }
    }
}

extension RecipeStep {
    private static let known = ["quantize", "fine_tune", "prune", "low_rank", "binarize"]

    fileprivate init?(_ field: Field) {
        guard case .mapping(let entries) = field.node.content, let entry = entries.first, entries.count == 1 else {
            field.report(
                "'\(field.key)' must be one step with its settings, found \(field.node.summary)",
                "write '- quantize: {weights: int8, activations: int8}'")
            return nil
        }
        switch entry.key {
        case "quantize":
            let step = Field(key: entry.key, node: entry.value, sink: field.sink)
            guard let quantization = Quantization(step) else { return nil }
            self = .quantize(quantization)
        case "fine_tune":
            guard let tuning = FineTuning(Field(key: entry.key, node: entry.value, sink: field.sink)) else {
                return nil
            }
            self = .fineTune(tuning)
        case "binarize":
            let step = Field(key: entry.key, node: entry.value, sink: field.sink)
            guard let binarization = Binarization(step) else { return nil }
            self = .binarize(binarization)
        case "low_rank":
            guard let lowRank = LowRank(Field(key: entry.key, node: entry.value, sink: field.sink)) else { return nil }
            self = .lowRank(lowRank)
        case "prune":
            guard let pruning = Pruning(Field(key: entry.key, node: entry.value, sink: field.sink)) else { return nil }
            self = .prune(pruning)
        default:
            field.sink.report(
                entry.keyMark, "unknown step \(quoted(entry.key))",
                mending(
                    entry.key, among: Self.known, list: "the steps are \(alternatives(Self.known))"))
            return nil
        }
    }
}

extension Quantization {
    private enum Method { case minmax, percentile, mse, entropy }

    fileprivate init?(_ field: Field) {
        let keys =
            WeightSettings.keys + [
                "activations", "per_channel", "calibration", "percentile", "layers", "keep_float",
                "kinds", "min_parameters", "min_input_sqnr", "float_output", "symmetric", "equalize", "fine_tune",
            ]
        guard let fields = field.fields(keys) else { return nil }
        let weights = WeightSettings(fields)
        let activations = fields.optional("activations") {
            $0.choice([("int8", Activations.int8), ("int16", .int16), ("float32", .float32), ("none", .float32)])
        }
        let isHalf = weights?.format.kind == .float16
        if isHalf, let activations, activations != .float32 {
            fields.report(
                "activations", "float16 weights compute in float32",
                "remove 'activations', or write 'weights: int8'")
        }
        if activations == .int16, fields.has("fine_tune") {
            fields.report(
                "fine_tune", "'fine_tune' has no effect with int16 activations, which lose next to nothing",
                "remove it, or write 'activations: int8'")
        }
        let perChannel = fields.optional("per_channel") { $0.bool() }
        let method = fields.optional("calibration") {
            $0.choice([("minmax", Method.minmax), ("percentile", .percentile), ("mse", .mse), ("entropy", .entropy)])
        }
        let percentile = fields.optional("percentile") { field in
            field.scalar?.hasSuffix("%") == true
                ? field.quantity(.percentage, in: 50...100) : field.number(in: 50...100)
        }
        if fields.has("percentile"), method != .percentile {
            fields.report(
                "percentile", "'percentile' has no effect without 'calibration: percentile'",
                "write 'calibration: percentile', or remove 'percentile'")
        }
        let selection = LayerSelection(fields)
        let keepFloat = fields.optional("keep_float") { $0.patterns(atLeast: 0) }
        let minInputSQNR = fields.optional("min_input_sqnr") { $0.number(in: 0...200) }
        let floatOutput = fields.optional("float_output") { $0.bool() }
        let symmetric = fields.optional("symmetric") { $0.bool() }
        let calibration: Calibration =
            switch method {
            case .minmax: .minmax
            case .percentile: .percentile(percentile ?? 99.99)
            case .entropy: .entropy
            case .mse, nil: .mse
            }
        let fineTune = fields.optional("fine_tune") { field in
            FineTuning(field)?.forGrids(hasWarmup: field["warmup"] != nil)
        }
        self.init(
            weights: weights ?? WeightSettings(), activations: activations ?? (isHalf ? .float32 : .int8),
            perChannel: perChannel ?? true, calibration: calibration, layers: selection.layers,
            keepFloat: keepFloat ?? [], kinds: selection.kinds, minParameters: selection.minParameters,
            minInputSQNR: minInputSQNR ?? 30, floatOutput: floatOutput ?? true, symmetric: symmetric ?? false,
            equalize: fields.optional("equalize") { $0.bool() } ?? false, fineTune: fineTune)
    }
}

extension Field {
    func patterns(atLeast least: Int) -> [GlobPattern]? {
        list(count: least...1024) { $0.text(maxBytes: 256).map { GlobPattern($0) } }
    }
}
