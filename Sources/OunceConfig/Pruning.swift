/// Removal of the weights that matter least.
package struct Pruning: Sendable, Hashable {
    package enum What: Sendable, Hashable {
        /// Single weights become zero.
        case weights
        /// Blocks of so many successive output channels by so many successive inputs become zero.
        case blocks(outputs: Int, inputs: Int)
        /// Of every `group` successive inputs all but `kept` become zero.
        case pattern(kept: Int, group: Int)
        /// Channels are taken out of the model.
        case channels
        /// Attention heads are taken out of the model.
        case heads

        /// Whether the model becomes a smaller dense one.
        package var isStructural: Bool { self == .channels || self == .heads }
    }

    /// What says how much something matters.
    package enum Importance: String, Sendable, Hashable, CaseIterable {
        /// The sum of the weights' sizes.
        case l1
        /// The root of the sum of their squares.
        case l2
        /// How much the loss would change, to first order.
        case taylor
        /// How far a filter is from the others of its layer.
        case geometricMedian = "geometric_median"
        /// The scales of normalisations.
        case scale = "bn_scale"
        /// A control.
        case random
    }

    /// What is compared with what.
    package enum Scope: String, Sendable, Hashable, CaseIterable { case layer, global }

    package enum Amount: Sendable, Hashable {
        /// Share of the weights, channels or heads that goes.
        case removed(Double)
        /// Shares of the multiply-accumulates and of the estimated time that stay; nil: as many as are left then.
        case cost(macs: Double?, time: Double?)
    }

    /// How much is gone after each round.
    package enum Schedule: String, Sendable, Hashable, CaseIterable {
        /// Much at first, little at the end (arXiv 1710.01878).
        case cubic
        case linear
    }

    package let what: What
    package let importance: Importance
    package let amount: Amount
    package let scope: Scope
    package let rounds: Int
    package let schedule: Schedule
    /// Whether layers make up for what goes, where there are samples.
    package let reconstructs: Bool
    /// After each round; nil: none.
    package let fineTuning: FineTuning?
    package let selection: LayerSelection
    /// Of `random`, and of the order of samples.
    package let seed: Int

    package init(
        what: What, importance: Importance = .l1, amount: Amount, scope: Scope = .global, rounds: Int = 1,
        schedule: Schedule = .cubic, reconstructs: Bool = true, fineTuning: FineTuning? = nil,
        selection: LayerSelection = .all, seed: Int = 0
    ) {
        self.what = what
        self.importance = importance
        self.amount = amount
        self.scope = scope
        self.rounds = rounds
        self.schedule = schedule
        self.reconstructs = reconstructs
        self.fineTuning = fineTuning
        self.selection = selection
        self.seed = seed
    }

    /// The part of all that is to go that is gone after a round.
    ///
    /// - Parameter round: from 1 to `rounds`.
    package func progress(after round: Int) -> Double {
        let left = 1 - Double(round) / Double(max(rounds, 1))
        return schedule == .cubic ? 1 - left * left * left : 1 - left
    }

    var canonical: CanonicalValue {
        let whatText: String
        switch what {
        case .weights: whatText = "weights"
        case .blocks(let outputs, let inputs): whatText = "blocks \(outputs)x\(inputs)"
        case .pattern(let kept, let group): whatText = "\(kept):\(group)"
        case .channels: whatText = "channels"
        case .heads: whatText = "heads"
        }
        var keys = selection.canonical
        keys["what"] = .text(whatText)
        switch amount {
        case .removed(let share): keys["ratio"] = .real(share)
        case .cost(let macs, let time):
            keys["target"] = .map([
                "macs": .optional(macs) { .real($0) }, "time": .optional(time) { .real($0) },
            ])
        }
        keys["importance"] = .text(importance.rawValue)
        keys["scope"] = .text(scope.rawValue)
        keys["rounds"] = .integer(rounds)
        keys["schedule"] = .text(schedule.rawValue)
        keys["reconstruct"] = .bool(reconstructs)
        keys["fine_tune"] = .optional(fineTuning) { $0.canonical }
        keys["seed"] = .integer(seed)
        return .map(keys)
    }
}
