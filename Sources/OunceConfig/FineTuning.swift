/// Training of the weights as they are then, to win accuracy back.
package struct FineTuning: Sendable, Hashable {
    package enum Loss: String, Sendable, Hashable, CaseIterable {
        /// Agreement with the original float model; needs no labels, but may learn from them too.
        case distill
        case crossEntropy = "cross_entropy"
        case mse
    }
    package enum Optimizer: String, Sendable, Hashable, CaseIterable { case adamw, sgd }
    package enum Schedule: String, Sendable, Hashable, CaseIterable { case cosine, constant, step }

    /// Random changes of the samples.
    package struct Augmentation: Sendable, Hashable {
        /// Pixels.
        package let shift: Int
        package let flip: Bool
        /// Parts of a sample's own deviation.
        package let noise: Double
        /// Steps of time.
        package let timeMask: Int
        /// Parameter of the beta distribution of shares.
        package let mixup: Double

        package init(
            shift: Int = 0, flip: Bool = false, noise: Double = 0, timeMask: Int = 0, mixup: Double = 0
        ) {
            self.shift = shift
            self.flip = flip
            self.noise = noise
            self.timeMask = timeMask
            self.mixup = mixup
        }
    }

    package private(set) var epochs: Double
    package let loss: Loss
    package let optimizer: Optimizer
    /// nil: what suits the optimiser.
    package private(set) var learningRate: Double?
    package let schedule: Schedule
    /// Share of the run over which the learning rate rises.
    package private(set) var warmup: Double
    package let batchSize: Int
    package let weightDecay: Double
    /// Largest norm of a gradient; 0: no bound.
    package let clip: Double
    /// Of distillation.
    package let temperature: Double
    /// Of cross-entropy with labels beside distillation, where there are labels.
    package let labelWeight: Double
    package let augmentation: Augmentation
    package let seed: Int
    /// The layers to train; nil: all.
    package let layers: [GlobPattern]?
    /// Layers to leave as they are even so.
    package let freeze: [GlobPattern]

    package init(
        epochs: Double = 3, loss: Loss = .distill, optimizer: Optimizer = .adamw, learningRate: Double? = nil,
        schedule: Schedule = .cosine, warmup: Double = 0, batchSize: Int = 64, weightDecay: Double = 0,
        clip: Double = 1, temperature: Double = 2, labelWeight: Double = 0,
        augmentation: Augmentation = Augmentation(), seed: Int = 0,
        layers: [GlobPattern]? = nil, freeze: [GlobPattern] = []
    ) {
        self.epochs = epochs
        self.loss = loss
        self.optimizer = optimizer
        self.learningRate = learningRate
        self.schedule = schedule
        self.warmup = warmup
        self.batchSize = batchSize
        self.weightDecay = weightDecay
        self.clip = clip
        self.temperature = temperature
        self.labelWeight = labelWeight
        self.augmentation = augmentation
        self.seed = seed
        self.layers = layers
        self.freeze = freeze
    }

    /// Whether the layer of this name is to be trained.
    package func covers(layer name: String) -> Bool {
        (layers?.contains { $0.matches(name) } ?? true) && !freeze.contains { $0.matches(name) }
    }

    /// What the optimiser steps by at the height of the schedule.
    package var rate: Double { learningRate ?? (optimizer == .adamw ? 0.0005 : 0.005) }

    /// The same for another number of epochs.
    package func lasting(_ epochs: Double) -> FineTuning {
        var copy = self
        copy.epochs = epochs
        return copy
    }

    /// With the defaults for training on the grids of a model that computes nearly right as it is.
    func forGrids(hasWarmup: Bool) -> FineTuning {
        var copy = self
        copy.learningRate = learningRate ?? (optimizer == .adamw ? 0.00005 : 0.0005)
        if !hasWarmup { copy.warmup = 0.1 }
        return copy
    }

    var canonical: CanonicalValue {
        .map([
            "epochs": .real(epochs), "loss": .text(loss.rawValue), "optimizer": .text(optimizer.rawValue),
            "learning_rate": .real(rate), "schedule": .text(schedule.rawValue), "warmup": .real(warmup),
            "batch_size": .integer(batchSize), "weight_decay": .real(weightDecay), "clip": .real(clip),
            "temperature": .real(temperature), "label_weight": .real(labelWeight), "seed": .integer(seed),
            "augment": .map([
                "shift": .integer(augmentation.shift), "flip": .bool(augmentation.flip),
                "noise": .real(augmentation.noise), "time_mask": .integer(augmentation.timeMask),
                "mixup": .real(augmentation.mixup),
            ]),
            "layers": .optional(layers) { .texts(Set($0.map(\.text)).sorted()) },
            "freeze": .texts(Set(freeze.map(\.text)).sorted()),
        ])
    }
}
