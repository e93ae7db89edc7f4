import OunceConfig
import OunceGraph
import OunceRuntime

/// How good a model's answers are.
///
/// - `top1`: share of samples whose largest output is the label's.
/// - `auc`: area under the ROC curve of a score against labels 0 and 1. The score is the one output, the second of two, or,
///   where the output has the input's shape (an autoencoder), the mean squared reconstruction error.
/// - `mse`: mean squared error against the labels, or against the input where there are none (an autoencoder).
/// - `fidelity`: agreement with a reference model's outputs r: the mean of `max(0, 1 - ‖y - r‖ / ‖r‖)`.
package typealias Metric = ModelSettings.Metric

extension ModelSettings.Metric {
    /// How much worse `value` is than `reference`: points (hundredths) for fractions, per cent of the reference for mse.
    package func drop(from reference: Double, to value: Double) -> Double {
        self == .mse ? (value - reference) / max(abs(reference), 1e-30) * 100 : (reference - value) * 100
    }

    /// Whether `value` falls short of the least that is accepted.
    package func misses(floor: Double?, _ value: Double) -> Bool {
        floor.map { self == .mse ? value > $0 : value < $0 } ?? false
    }
}

/// Runs a model over data and applies a metric.
package struct Evaluator: Sendable {
    package let metric: Metric
    package let dataset: Dataset
    /// Called now and then with the share that is done.
    package var progress: (@Sendable (Double) -> Void)?

    package init(metric: Metric, dataset: Dataset, progress: (@Sendable (Double) -> Void)? = nil) {
        self.metric = metric
        self.dataset = dataset
        self.progress = progress
    }

    /// - Parameter reference: what fidelity compares with.
    /// - Throws: `.data` where labels or outputs do not fit the metric.
    package func evaluate(_ model: Model, reference: Model? = nil) throws(CompressError) -> Report.Accuracy {
        let run = try SampleRun(model, over: dataset)
        let referenceRun = try reference.map { (model) throws(CompressError) in try SampleRun(model, over: dataset) }
        var scores: [Double] = []
        var classes: [Int] = []
        for index in 0..<dataset.count {
            if metric == .auc { classes.append(try classOf(index)) }
            // The score of a sample of several windows is the mean over them; of a sequence, that of its last step.
            var sum = 0.0
            let last = run.isSequential && metric != .fidelity ? dataset.windows - 1 : 0
            for window in 0..<dataset.windows {
                let inputs = try dataset.sample(index, window: window)
                let outputs = try run(inputs, window: window)
                let expected = try referenceRun.map { (run) throws(CompressError) in try run(inputs, window: window) }
                if window >= last { sum += try score(index, inputs, outputs, model, expected, reference) }
            }
            scores.append(sum / Double(dataset.windows - last))
            if index % 16 == 15 { progress?(Double(index + 1) / Double(dataset.count)) }
        }
        progress?(1)
        let n = Double(scores.count)
        if metric == .auc {
            let area = try Self.areaUnderCurve(scores, classes)
            let (positives, negatives) = (classes.count { $0 == 1 }, classes.count { $0 == 0 })
            let error = Self.aucError(area, positives: positives, negatives: negatives)
            return Report.Accuracy(
                metric: metric.rawValue, value: area, samples: scores.count, standardError: error,
                confidence: ConfidenceInterval.area(
                    area, standardError: error, smallerClass: min(positives, negatives)))
        }
        let mean = scores.reduce(0, +) / n
        let variance = scores.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / n
        return Report.Accuracy(
            metric: metric.rawValue, value: mean, samples: scores.count, standardError: (variance / n).squareRoot(),
            confidence: metric == .top1
                ? ConfidenceInterval.wilson(share: mean, samples: scores.count) : ConfidenceInterval.bootstrap(scores))
    }

    private func score(
        _ index: Int, _ inputs: [Tensor], _ outputs: [Tensor], _ model: Model, _ expected: [Tensor]?,
        _ reference: Model?
    ) throws(CompressError) -> Double {
        guard let output = outputs.first, let info = model.outputs.first else {
            throw CompressError(.data, "the model has no output")
        }
        let real = Self.real(output, info, model)
        switch metric {
        case .top1: return Self.argmax(real) == (try labelOf(index)) ? 1 : 0
        case .auc: return try anomalyScore(real, inputs, model)
        case .mse:
            let target = dataset.target(index) ?? inputs.first?.floats() ?? []
            guard target.count == real.count else {
                throw CompressError(
                    .data,
                    "mse compares \(real.count) outputs with \(target.count) numbers a sample; give labels of the "
                        + "output's shape")
            }
            return Self.meanSquaredError(real, target)
        case .fidelity:
            guard let reference, let expected else {
                throw CompressError(.data, "fidelity needs a reference model (--reference)")
            }
            guard let first = expected.first, let referenceInfo = reference.outputs.first, first.count == real.count
            else { throw CompressError(.data, "the reference model's output has another shape") }
            return Self.agreement(real, Self.real(first, referenceInfo, reference))
        }
    }

    private func labelOf(_ index: Int) throws(CompressError) -> Int {
        guard let label = dataset.label(index) else {
            throw CompressError(
                .data, "\(metric.rawValue) needs one label a sample: an array 'labels' in the .npz, or --labels F.npy")
        }
        return label
    }

    private func classOf(_ index: Int) throws(CompressError) -> Int {
        let label = try labelOf(index)
        guard label == 0 || label == 1 else {
            throw CompressError(.data, "auc takes labels 0 and 1, sample \(index) has \(label)")
        }
        return label
    }

    private func anomalyScore(_ real: [Float], _ inputs: [Tensor], _ model: Model) throws(CompressError) -> Double {
        if real.count == 1 { return Double(real[0]) }
        if real.count == 2 { return Double(real[1]) }
        guard let input = inputs.first, let info = model.inputs.first, input.count == real.count else {
            throw CompressError(.data, "auc needs one score, two class scores, or an output of the input's shape")
        }
        return Self.meanSquaredError(real, Self.real(input, info, model))
    }

    // MARK: Numbers

    /// The real numbers of an output: quantised ones are put back on their scale, so that any model can be compared.
    static func real(_ tensor: Tensor, _ info: TensorInfo, _ model: Model) -> [Float] {
        guard tensor.dtype != .float32, let affine = model.encoding(of: info.name)?.affine, affine.isPerTensor else {
            return tensor.floats()
        }
        return tensor.doubles().map { Float($0 - Double(affine.zeroPoint)) * affine.scale }
    }

    static func argmax(_ values: [Float]) -> Int {
        var best = 0
        for index in values.indices where values[index] > values[best] { best = index }
        return best
    }

    private static func meanSquaredError(_ a: [Float], _ b: [Float]) -> Double {
        zip(a, b).reduce(0.0) { $0 + (Double($1.0) - Double($1.1)) * (Double($1.0) - Double($1.1)) }
            / Double(max(a.count, 1))
    }

    private static func agreement(_ y: [Float], _ r: [Float]) -> Double {
        let error = zip(y, r).reduce(0.0) { $0 + (Double($1.0) - Double($1.1)) * (Double($1.0) - Double($1.1)) }
        let norm = r.reduce(0.0) { $0 + Double($1) * Double($1) }
        if norm == 0 { return error == 0 ? 1 : 0 }
        return max(0, 1 - (error / norm).squareRoot())
    }

    /// Mann-Whitney U with ties counted half.
    private static func areaUnderCurve(_ scores: [Double], _ classes: [Int]) throws(CompressError) -> Double {
        let order = scores.indices.sorted { scores[$0] < scores[$1] }
        let positives = Double(classes.count { $0 == 1 })
        let negatives = Double(classes.count) - positives
        guard positives > 0, negatives > 0 else {
            throw CompressError(.data, "auc needs samples of both classes")
        }
        var rankSum = 0.0
        var start = 0
        while start < order.count {
            var end = start
            while end + 1 < order.count, scores[order[end + 1]] == scores[order[start]] { end += 1 }
            let rank = Double(start + end) / 2 + 1
            for place in start...end where classes[order[place]] == 1 { rankSum += rank }
            start = end + 1
        }
        return (rankSum - positives * (positives + 1) / 2) / (positives * negatives)
    }

    /// Standard error of an AUC (Hanley and McNeil, Radiology 143, 1982).
    private static func aucError(_ area: Double, positives: Int, negatives: Int) -> Double {
        let (p, n) = (Double(positives), Double(negatives))
        let q1 = area / (2 - area)
        let q2 = 2 * area * area / (1 + area)
        let variance =
            (area * (1 - area) + (p - 1) * (q1 - area * area) + (n - 1) * (q2 - area * area)) / (p * n)
        return max(0, variance).squareRoot()
    }
}
