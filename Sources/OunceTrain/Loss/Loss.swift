import Glibc
import OunceGraph

/// What training makes small.
package enum Loss: Sendable, Hashable {
    /// Between the softmax of the first head and class labels.
    case crossEntropy
    /// Mean squared error between the first output and targets of its shape; without targets the input itself (an
    /// autoencoder).
    case mse
    /// Agreement with a teacher that sees the same inputs. For heads that are classifiers the
    /// Kullback-Leibler divergence of the softmax at `temperature`, or at the deviation of the teacher's scores where that
    /// is more, times the square of `temperature` (arXiv 1503.02531), and for every head
    /// the squared error relative to the teacher's variance, with these weights; and for a first head that is a classifier
    /// the cross-entropy with class labels, with the weight `labels`. A weight of 0 needs none.
    case distill(temperature: Float, divergence: Float, error: Float, labels: Float = 0)

    package static let distillation = Loss.distill(temperature: 2, divergence: 1, error: 0.5)

    var needsTeacher: Bool {
        if case .distill = self { true } else { false }
    }
}

/// Computes a loss and its gradient at the heads of a program.
struct LossHead {
    let loss: Loss
    /// Rows of the first axis that belong to one sample are as many as the batch has samples.
    let samples: Int

    /// Writes the gradient of the mean loss over `total` samples into the heads.
    ///
    /// - Returns: the sum of the losses of these samples, and how many first heads name the right class.
    func apply(
        _ program: TrainingProgram, labels: [MixedLabel], targets: UnsafePointer<Float>?, teacher: TrainingProgram?,
        isClassifier: Bool, total: Int
    ) -> (loss: Double, correct: Int) {
        let scale = 1 / Float(max(total, 1))
        var sum = 0.0
        var correct = 0
        for (index, head) in program.heads.enumerated() {
            if head.needsGradient { for i in 0..<head.count { head.dx[i] = 0 } }
            let width = head.count / max(samples, 1)
            if index == 0, !labels.isEmpty { correct = hits(head, width, labels) }
            switch loss {
            case .crossEntropy where index == 0:
                sum += crossEntropy(head, labels, scale)
            case .mse where index == 0:
                guard let goal = targets else { continue }
                sum += squaredError(head, goal, 2 * scale / Float(max(width, 1))) / Double(max(width, 1))
            case .distill(let temperature, let divergence, let error, let labelWeight):
                guard let teacher, index < teacher.heads.count else { continue }
                let goal = teacher.heads[index]
                let columns = head.shape.dims.last ?? 1
                let variance = Self.variance(goal)
                if isClassifier || program.isSoftmax[index], columns > 1 {
                    let rows = head.count / columns
                    let weight = divergence * Float(samples) / Float(max(rows, 1))
                    // A temperature is meant for scores that deviate by about as much. Those of a network on raw pixels may be
                    // thousands: its softmax says no more than which is the largest, and one that is off by little would
                    // outweigh all others.
                    let unit = max(1, variance.squareRoot() / temperature)
                    for row in 0..<rows {
                        sum +=
                            Double(weight)
                            * divergenceOf(
                                head, goal.x, row * columns, columns, temperature, unit: unit, scale * weight)
                    }
                    if index == 0, labelWeight > 0 {
                        sum += Double(labelWeight) * crossEntropy(head, labels, scale * labelWeight, unit: unit)
                    }
                }
                let weight = error / max(variance, 1e-12) / Float(max(width, 1))
                sum += Double(weight) * squaredError(head, goal.x, 2 * scale * weight)
            default: continue
            }
        }
        return (sum, correct)
    }

    private func hits(_ head: Slot, _ width: Int, _ labels: [MixedLabel]) -> Int {
        var correct = 0
        for sample in 0..<samples {
            let row = head.x + sample * width
            var best = 0
            for i in 0..<width where row[i] > row[best] { best = i }
            if best == Int(labels[sample].own) { correct += 1 }
        }
        return correct
    }

    /// The sum over samples, each with its label; scores in units of `unit`.
    private func crossEntropy(_ head: Slot, _ labels: [MixedLabel], _ scale: Float, unit: Float = 1) -> Double {
        let width = head.count / max(samples, 1)
        var sum = 0.0
        for (sample, label) in labels.prefix(samples).enumerated() {
            let (own, other) = (Int(label.own), Int(label.other))
            guard (0..<width).contains(own), (0..<width).contains(other) else { continue }
            let (x, dx) = (head.x + sample * width, head.dx + sample * width)
            let log = logarithm(x, width, unit)
            if head.needsGradient {
                let factor = scale / unit
                for i in 0..<width { dx[i] += factor * expf(x[i] / unit - log) }
                dx[own] -= factor * (1 - label.share)
                dx[other] -= factor * label.share
            }
            sum += Double(log - (x[own] + label.share * (x[other] - x[own])) / unit)
        }
        return sum
    }

    /// Of the sum of the exponentials of a row in units of `unit`.
    private func logarithm(_ row: UnsafePointer<Float>, _ width: Int, _ unit: Float) -> Float {
        var maximum = -Float.infinity
        for i in 0..<width { maximum = max(maximum, row[i] / unit) }
        var sum: Float = 0
        for i in 0..<width { sum += expf(row[i] / unit - maximum) }
        return logf(sum) + maximum
    }

    /// Kullback-Leibler divergence of a row at a temperature, times its square; scores in units of `unit`.
    private func divergenceOf(
        _ head: Slot, _ goal: UnsafePointer<Float>, _ start: Int, _ width: Int, _ temperature: Float, unit: Float,
        _ scale: Float
    ) -> Double {
        let t = temperature * unit
        let (x, dx, y) = (head.x + start, head.dx + start, goal + start)
        let (own, other) = (logarithm(x, width, t), logarithm(y, width, t))
        var result = 0.0
        for i in 0..<width {
            let (p, q) = (y[i] / t - other, x[i] / t - own)
            let share = expf(p)
            result += Double(share * (p - q))
            if head.needsGradient { dx[i] += scale * temperature / unit * (expf(q) - share) }
        }
        return result * Double(temperature * temperature)
    }

    private func squaredError(_ head: Slot, _ goal: UnsafePointer<Float>, _ scale: Float) -> Double {
        var sum = 0.0
        for i in 0..<head.count {
            let difference = head.x[i] - goal[i]
            sum += Double(difference * difference)
            if head.needsGradient { head.dx[i] += scale * difference }
        }
        return sum
    }

    private static func variance(_ slot: Slot) -> Float {
        var (sum, squares) = (0.0, 0.0)
        for i in 0..<slot.count {
            sum += Double(slot.x[i])
            squares += Double(slot.x[i]) * Double(slot.x[i])
        }
        let mean = sum / Double(max(slot.count, 1))
        return Float(squares / Double(max(slot.count, 1)) - mean * mean)
    }
}
