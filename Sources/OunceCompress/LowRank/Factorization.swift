import Glibc

/// One way to write a layer as a product.
struct Factorization: Sendable, Hashable {
    enum Form: Sendable, Hashable {
        case svd(rank: Int)
        case tucker2(inputs: Int, outputs: Int)
        case spatial(rank: Int)
    }
    let form: Form
    /// Of all factors, biases included.
    let parameters: Int
    let macs: Int
    /// The part of the energy of the layer's outputs (or weights) that is lost.
    let loss: Double

    var text: String {
        switch form {
        case .svd(let rank): "rank \(rank)"
        case .tucker2(let inputs, let outputs): "\(inputs) by \(outputs) channels"
        case .spatial(let rank): "k x 1, 1 x k with \(rank) channels"
        }
    }
}

/// Shares ranks out over layers.
struct RankAllocation {
    /// A layer that may become a product.
    struct Layer {
        /// Parameters as it is.
        let parameters: Int
        let choices: [Factorization]
        /// What a loss of all its outputs does to the model's.
        var weight = 1.0
    }

    /// For each layer the choice, nil: as it is, that loses the least with at most `budget` parameters in all, as far as
    /// a price for parameters that is the same for all layers finds it; the smallest there is where that is still too much.
    static func choose(_ layers: [Layer], budget: Int) -> [Factorization?] {
        func picks(_ price: Double) -> [Factorization?] {
            layers.map { layer in
                var best: (cost: Double, choice: Factorization?) = (price * Double(layer.parameters), nil)
                for choice in layer.choices {
                    let cost = layer.weight * choice.loss + price * Double(choice.parameters)
                    if cost < best.cost { best = (cost, choice) }
                }
                return best.choice
            }
        }
        func size(_ picks: [Factorization?]) -> Int {
            zip(layers, picks).reduce(0) { $0 + ($1.1?.parameters ?? $1.0.parameters) }
        }
        // Prices over the whole range in which they can matter, by halving on a logarithmic scale.
        var (low, high) = (-90.0, 40.0)
        var best = picks(exp2(high))
        guard size(best) <= budget else { return best }
        for _ in 0..<60 {
            let middle = (low + high) / 2
            let found = picks(exp2(middle))
            if size(found) <= budget {
                (high, best) = (middle, found)
            } else {
                low = middle
            }
        }
        return best
    }
}
