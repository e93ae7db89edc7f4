/// What a compression measured: before and after in the same way, with what was refused and why.
package struct Report: Codable, Sendable, Hashable {
    package struct Accuracy: Codable, Sendable, Hashable {
        /// "top1", "auc", "mse" or "fidelity".
        package var metric: String
        /// A fraction for top1, auc and fidelity; a mean squared error for mse.
        package var value: Double
        package var samples: Int
        /// One standard error of `value`, from the sample count.
        package var standardError: Double
        /// Where the value over all such samples lies with a confidence of 95 %; nil in artifacts of older versions.
        package var confidence: Confidence?

        package init(
            metric: String, value: Double, samples: Int, standardError: Double, confidence: Confidence? = nil
        ) {
            self.metric = metric
            self.value = value
            self.samples = samples
            self.standardError = standardError
            self.confidence = confidence
        }
    }

    /// An interval.
    package struct Confidence: Codable, Sendable, Hashable {
        package var low: Double
        package var high: Double

        package init(low: Double, high: Double) {
            self.low = low
            self.high = high
        }
    }

    package struct Measurement: Codable, Sendable, Hashable {
        /// nil: no validation data, unverified.
        package var accuracy: Accuracy?
        /// Size of the artifact.
        package var bytes: Int
        /// Multiply-accumulates of one inference; nil in artifacts of older versions.
        package var macs: Int?
        /// Median of one inference with `threads` threads.
        package var latencyMilliseconds: Double
        package var latencyP99Milliseconds: Double
        /// Weights as packed, plans and arena.
        package var memoryBytes: Int
        package var threads: Int
        /// Estimated energy of one inference, from the profile's watts; nil where the profile has none.
        package var millijoules: Double?

        package init(
            accuracy: Accuracy?, bytes: Int, macs: Int? = nil, latencyMilliseconds: Double,
            latencyP99Milliseconds: Double, memoryBytes: Int, threads: Int, millijoules: Double?
        ) {
            self.accuracy = accuracy
            self.bytes = bytes
            self.macs = macs
            self.latencyMilliseconds = latencyMilliseconds
            self.latencyP99Milliseconds = latencyP99Milliseconds
            self.memoryBytes = memoryBytes
            self.threads = threads
            self.millijoules = millijoules
        }
    }

    package struct Candidate: Codable, Sendable, Hashable {
        package var recipe: String
        package var measurement: Measurement?
        /// nil: it was good enough (one of these is the picked one).
        package var refusal: String?

        package init(recipe: String, measurement: Measurement?, refusal: String?) {
            self.recipe = recipe
            self.measurement = measurement
            self.refusal = refusal
        }
    }

    /// What a step of the recipe came to. What was before it is that of the step before it, `Report.before` for the first.
    package struct Step: Codable, Sendable, Hashable {
        /// As the recipe calls it.
        package var name: String
        package var note: String?
        package var after: Measurement

        package init(name: String, note: String?, after: Measurement) {
            self.name = name
            self.note = note
            self.after = after
        }
    }

    package var recipe: String
    /// Why this recipe, in a sentence.
    package var reason: String
    /// Of the float model.
    package var before: Measurement
    package var after: Measurement
    package var candidates: [Candidate]
    /// In the recipe's order; nil in artifacts of older versions.
    package var steps: [Step]?
    /// Why the accuracies may flatter: which validation samples were used for more than to judge; nil: none.
    package var caution: String?

    package init(
        recipe: String, reason: String, before: Measurement, after: Measurement, candidates: [Candidate],
        steps: [Step]? = nil, caution: String? = nil
    ) {
        self.recipe = recipe
        self.reason = reason
        self.before = before
        self.after = after
        self.candidates = candidates
        self.steps = steps
        self.caution = caution
    }
}

/// Where an artifact came from. Hashes are SHA-256 in lower-case hex.
package struct Provenance: Codable, Sendable, Hashable {
    package var ounceVersion: String
    package var modelName: String
    package var modelHash: String
    package var profileName: String
    package var profileHash: String
    package var recipeName: String
    package var recipeHash: String
    package var calibrationHash: String?
    package var validationHash: String?

    package init(
        ounceVersion: String, modelName: String, modelHash: String, profileName: String, profileHash: String,
        recipeName: String, recipeHash: String, calibrationHash: String?, validationHash: String?
    ) {
        self.ounceVersion = ounceVersion
        self.modelName = modelName
        self.modelHash = modelHash
        self.profileName = profileName
        self.profileHash = profileHash
        self.recipeName = recipeName
        self.recipeHash = recipeHash
        self.calibrationHash = calibrationHash
        self.validationHash = validationHash
    }
}
