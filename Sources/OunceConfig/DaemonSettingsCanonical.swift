extension DaemonSettings {
    /// SHA-256 over the meaning, not the text. Of files that are named it takes the path; a loaded configuration's
    /// hash takes their content.
    package var canonicalHash: String { canonical.hash(kind: "settings") }

    var canonical: CanonicalValue {
        let profileValue: CanonicalValue =
            switch profile {
            case .file(let path): .text(path)
            case .inline(let profile): profile.canonical
            }
        return .map([
            "profile": profileValue, "recipes": .optional(recipesDirectory) { .text($0) },
            "state": .text(stateDirectory), "models": .list(models.map(\.canonical)),
            "server": .map([
                "socket": .text(server.socket), "group": .optional(server.group) { .text($0) },
                "mode": .integer(Int(server.mode)), "max_request": .integer(server.maxRequest),
                "max_connections": .integer(server.maxConnections),
                "request_timeout": .optional(server.requestTimeout) { .time($0) },
                "max_sequences": .integer(server.maxSequences), "sequence_timeout": .time(server.sequenceTimeout),
            ]),
            "compress": .map([
                "memory": .optional(compress.memory) { $0.canonical },
                "timeout": .optional(compress.timeout) { .time($0) },
            ]),
            "log": .text(logLevel.rawValue),
        ])
    }
}

extension ModelSettings {
    var canonical: CanonicalValue {
        let originValue: CanonicalValue =
            switch origin {
            case .source(let path): .map(["source": .text(path)])
            case .artifact(let path): .map(["artifact": .text(path)])
            }
        let recipeValue: CanonicalValue =
            switch recipe {
            case .auto: .none
            case .file(let path): .text(path)
            case .inline(let recipe): recipe.canonical
            }
        return .map([
            "name": .text(name), "origin": originValue, "recipe": recipeValue,
            "shapes": .map(shapes.mapValues { .list($0.map { .integer($0) }) }),
            "values": .map(values.mapValues { .real($0) }),
            "calibration": .optional(calibration) { .text($0) }, "validation": .optional(validation) { .text($0) },
            "training": .optional(training) { .text($0) },
            "accuracy": .optional(accuracy) { accuracy in
                .map([
                    "metric": .text(accuracy.metric.rawValue), "max_drop": .optional(accuracy.maxDrop) { .real($0) },
                    "floor": .optional(accuracy.floor) { .real($0) },
                ])
            },
            "latency": .optional(latencyP99) { .time($0) }, "threads": .optional(threads) { .integer($0) },
            "state": .map(states.mapValues { .text($0) }),
        ])
    }
}
