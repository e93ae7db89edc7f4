extension ModelSettings {
    init?(_ field: Field, _ paths: PathResolver, recipesDirectory: String?) {
        let keys = [
            "name", "source", "artifact", "shapes", "values", "recipe", "data", "accuracy", "latency", "threads",
            "state",
        ]
        guard let fields = field.fields(keys) else { return nil }
        let name = fields.required("name") { $0.name() }
        let source = fields.optional("source") { $0.text().map(paths.find) }
        let artifact = fields.optional("artifact") { $0.text().map(paths.find) }
        let recipe = fields.optional("recipe") {
            RecipeChoice($0, paths, recipesDirectory: recipesDirectory)
        }
        let shapes = fields.optional("shapes") { field in
            field.entries(count: 1...64) { $0.list(count: 1...8) { $0.extent() } }
        }
        let values = fields.optional("values") { field in
            field.entries(count: 1...64) { $0.number(in: -1e15...1e15) }
        }
        let data = fields.optional("data") { $0.fields(["calibration", "validation", "training"]) }
        let calibration = data?.optional("calibration") { $0.text().map(paths.find) }
        let validation = data?.optional("validation") { $0.text().map(paths.find) }
        let training = data?.optional("training") { $0.text().map(paths.find) }
        if let data, let training, training == validation {
            data.report(
                "training", "'training' is the file that judges accuracy, 'validation'",
                "train with other samples than those")
        }
        let accuracy = fields.optional("accuracy") { Accuracy($0) }
        let latency = fields.optional("latency") { field in
            field.fields(["p99"])?.required("p99") { $0.time(in: 1...3_600_000_000) }
        }
        let threads = fields.optional("threads") { $0.integer(in: 1...1024) }
        let states = fields.optional("state") { field in field.entries(count: 1...64) { $0.text() } }
        switch (fields.has("source"), fields.has("artifact")) {
        case (false, false):
            field.report(
                "'\(field.key)' lacks the key 'source'",
                "add 'source: …' (a float model) or 'artifact: …' (a ready .ounce file)")
        case (true, true):
            fields.report(
                "artifact", "'\(field.key)' has both 'source' and 'artifact'", "remove one of the two")
        case (false, true):
            for key in ["recipe", "accuracy", "shapes", "values", "state"] where fields.has(key) {
                fields.report(
                    key, "'\(key)' has no effect on a ready artifact",
                    "remove it, or give 'source' instead of 'artifact'")
            }
        case (true, false): break
        }
        guard let name, let origin = source.map(Origin.source) ?? artifact.map(Origin.artifact) else { return nil }
        self.init(
            name: name, origin: origin, recipe: recipe ?? .auto, shapes: shapes ?? [:], values: values ?? [:],
            calibration: calibration, validation: validation, training: training,
            accuracy: accuracy, latencyP99: latency, threads: threads, states: states ?? [:])
    }
}

extension ModelSettings.RecipeChoice {
    init?(_ field: Field, _ paths: PathResolver, recipesDirectory: String?) {
        guard case .scalar = field.node.content else {
            guard let recipe = Recipe(field, inlineName: "inline") else { return nil }
            self = .inline(recipe)
            return
        }
        guard let text = field.text() else { return nil }
        if text == "auto" {
            self = .auto
        } else if !isPath(text), let recipesDirectory {
            self = .file(PathResolver.join(recipesDirectory, text + ".yaml"))
        } else {
            self = .file(paths.find(fileName(text, in: "recipes")))
        }
    }
}

extension ModelSettings.Accuracy {
    fileprivate init?(_ field: Field) {
        guard let fields = field.fields(["metric", "max_drop", "floor"]) else { return nil }
        let metric = fields.required("metric") {
            $0.choice(ModelSettings.Metric.allCases.map { ($0.rawValue, $0) })
        }
        let maxDrop = fields.optional("max_drop") { $0.number(in: 0...100) }
        let floor = fields.optional("floor") { field in
            field.scalar?.hasSuffix("%") == true
                ? field.quantity(.percentage, in: 0...100).map { $0 / 100 } : field.number(in: 0...1)
        }
        if !fields.has("max_drop"), !fields.has("floor") {
            field.report("'accuracy' sets no limit", "add 'max_drop: 1.0' (percentage points) or 'floor: 0.9'")
        }
        if metric == .mse, fields.has("floor") {
            fields.report("floor", "'floor' does not fit mse, of which less is better", "use 'max_drop' instead")
        }
        guard let metric else { return nil }
        self.init(metric: metric, maxDrop: maxDrop, floor: floor)
    }
}
