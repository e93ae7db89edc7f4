import OunceGraph

/// How a graph is trained.
package struct TrainingSettings: Sendable, Hashable {
    package var loss: Loss
    package var optimizer: OptimizerKind
    package var learningRate: Float
    package var schedule: Schedule
    package var epochs: Double
    package var batchSize: Int
    package var weightDecay: Float
    /// The largest norm of a gradient; 0: no bound.
    package var clipNorm: Float
    package var augmentation: Augmentation
    package var axes: Augmentation.Axes?
    package var seed: UInt64
    package var threads: Int
    package var allowedISAs: Set<String>?
    /// Batch normalisations that are left in the graph go by the batch and learn their statistics.
    package var updatesStatistics: Bool
    /// Of the heads' meaning: they score classes, so distillation compares softmaxes.
    package var isClassifier: Bool

    package init(
        loss: Loss, optimizer: OptimizerKind = .sgd, learningRate: Float = 0.01,
        schedule: Schedule = Schedule(.cosine), epochs: Double = 1, batchSize: Int = 64, weightDecay: Float = 0,
        clipNorm: Float = 0, augmentation: Augmentation = .none, axes: Augmentation.Axes? = nil, seed: UInt64 = 0,
        threads: Int = 1, allowedISAs: Set<String>? = nil, updatesStatistics: Bool = false, isClassifier: Bool = true
    ) {
        self.loss = loss
        self.optimizer = optimizer
        self.learningRate = learningRate
        self.schedule = schedule
        self.epochs = epochs
        self.batchSize = batchSize
        self.weightDecay = weightDecay
        self.clipNorm = clipNorm
        self.augmentation = augmentation
        self.axes = axes
        self.seed = seed
        self.threads = threads
        self.allowedISAs = allowedISAs
        self.updatesStatistics = updatesStatistics
        self.isClassifier = isClassifier
    }
}

/// Where a run stands.
package struct TrainingProgress: Sendable {
    /// From 0, with the share of the running epoch.
    package var epoch: Double
    package var epochs: Double
    package var step: Int
    package var steps: Int
    /// Means over the last steps.
    package var loss: Double
    /// nil without labels.
    package var accuracy: Double?
    package var secondsLeft: Double
}

/// What passes want to hold on to while weights move.
package struct TrainingConstraints {
    /// The constants that may change; nil: all that can.
    package var trainable: Set<ValueID>?
    /// Zero where a weight stays zero, one elsewhere.
    package var masks: [ValueID: [Float]]
    package var quantizers: [ValueID: FakeQuantizer]
    /// Constants of which only the signs count; the result has the numbers behind the signs.
    package var binaryWeights: [ValueID: BinaryQuantizer] = [:]
    /// For outputs of signs.
    package var signs: [ValueID: SignEstimator] = [:]
    /// Units of constants where 1 is far from their size, one for each index along the first axis or one for all: the learning
    /// rate is meant in these.
    package var units: [ValueID: [Float]] = [:]

    package init(
        trainable: Set<ValueID>? = nil, masks: [ValueID: [Float]] = [:], quantizers: [ValueID: FakeQuantizer] = [:]
    ) {
        self.trainable = trainable
        self.masks = masks
        self.quantizers = quantizers
    }
}

/// A trained graph and how the training went.
package struct TrainingResult {
    package var graph: Graph
    /// Learned scales of quantisers, by what they quantise; of binary weights the factors of their sizes.
    package var scales: [ValueID: [Float]]
    package var firstLoss: Double
    package var lastLoss: Double
    package var steps: Int
    package var seconds: Double
}
