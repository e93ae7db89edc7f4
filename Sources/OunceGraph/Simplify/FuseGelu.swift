/// Makes one operator of the pieces of GELU, in whatever order they are multiplied: `0.5 * x * (1 + erf(x / sqrt(2)))`, or with
/// `tanh(sqrt(2 / pi) * (x + 0.044715 * x * x * x))` in place of erf.
struct FuseGelu: Rule {
    func rewrite(_ node: Node, in sweep: inout Sweep) throws(GraphError) -> Rewrite? {
        guard node.isProduct || node.isDivision, let y = sweep.output(node), y.dtype == .float32,
            let product = Product(node, in: sweep), product.factors.count == 2, product.isAbout(0.5)
        else { return nil }
        for place in 0...1 {
            let x = product.factors[1 - place]
            guard sweep[x].shape == y.shape, let isTanh = isTanhOfWeight(product.factors[place], of: x, in: sweep)
            else {
                continue
            }
            return .node(.unary(.function(isTanh ? .geluTanh : .gelu)), [x], for: node)
        }
        return nil
    }

    /// Whether `1 + erf(...)` or `1 + tanh(...)` is the weight of `x`; nil where it is neither.
    private func isTanhOfWeight(_ weight: ValueID, of x: ValueID, in sweep: Sweep) -> Bool? {
        guard let sum = sweep.soleProducer(of: weight), case .binary(.add, .none) = sum.op,
            let place = (0...1).first(where: { sweep.number(sum, 1 - $0) == 1 }),
            let bell = sweep.soleProducer(sum, place), let argument = bell.inputs[0]
        else { return nil }
        guard let scaled = sweep.soleProducer(of: argument).flatMap({ Product($0, in: sweep) }) else { return nil }
        switch bell.op {
        case .unary(.function(.erf)): return scaled.isAbout(0.5.squareRoot()) && scaled.factors == [x] ? false : nil
        case .unary(.tanh): return scaled.isAbout(0.797_884_560_8) && isCubic(scaled.factors, x, in: sweep) ? true : nil
        default: return nil
        }
    }

    /// `x + 0.044715 x³`, also as `x * (1 + 0.044715 x²)`.
    private func isCubic(_ factors: [ValueID], _ x: ValueID, in sweep: Sweep) -> Bool {
        let inner = factors.count == 2 ? factors.first { $0 != x } : factors.count == 1 ? factors.first : nil
        guard let inner, factors.count == 1 || factors.contains(x), let sum = sweep.soleProducer(of: inner),
            case .binary(.add, .none) = sum.op
        else { return false }
        return (0...1).contains { place in
            let isFirst = factors.count == 1 ? sum.inputs[place] == x : sweep.number(sum, place) == 1
            guard isFirst, let power = sweep.soleProducer(sum, 1 - place).flatMap({ Product($0, in: sweep) }) else {
                return false
            }
            return power.isAbout(0.044715) && power.factors == [ValueID](repeating: x, count: 4 - factors.count)
        }
    }
}

/// A product taken apart: a number times values, as far as nothing else reads its parts.
private struct Product {
    private(set) var coefficient: Double = 1
    private(set) var factors: [ValueID] = []

    /// No product of GELU has more parts.
    private static let mostNodes = 6

    init?(_ node: Node, in sweep: Sweep) {
        var nodes = 0
        guard add(node, in: sweep, &nodes) else { return nil }
    }

    /// Within a few units in the last places of rounded constants.
    func isAbout(_ number: Double) -> Bool { abs(coefficient - number) <= 1e-5 * number }

    private mutating func add(_ node: Node, in sweep: Sweep, _ nodes: inout Int) -> Bool {
        nodes += 1
        guard nodes <= Self.mostNodes else { return false }
        if node.isDivision {
            guard let divisor = sweep.number(node, 1) else { return false }
            coefficient /= Double(divisor)
            return add(node, 0, in: sweep, &nodes)
        }
        if case .binary(.power, .none) = node.op {
            guard let exponent = sweep.number(node, 1), exponent == 2 || exponent == 3, let x = node.inputs[0] else {
                return false
            }
            factors += [ValueID](repeating: x, count: Int(exponent))
            return true
        }
        return node.isProduct && add(node, 0, in: sweep, &nodes) && add(node, 1, in: sweep, &nodes)
    }

    private mutating func add(_ node: Node, _ index: Int, in sweep: Sweep, _ nodes: inout Int) -> Bool {
        if let number = sweep.number(node, index) {
            coefficient *= Double(number)
            return true
        }
        guard let id = node.inputs[index] else { return false }
        if let part = sweep.soleProducer(node, index), part.isPartOfProduct(in: sweep) {
            return add(part, in: sweep, &nodes)
        }
        factors.append(id)
        return true
    }
}

extension Node {
    fileprivate func isPartOfProduct(in sweep: Sweep) -> Bool {
        if case .binary(.power, .none) = op { return sweep.number(self, 1).map { $0 == 2 || $0 == 3 } ?? false }
        return isProduct || (isDivision && sweep.number(self, 1) != nil)
    }
}

extension Sweep {
    /// The node that makes `id`, where only one reads it.
    func soleProducer(of id: ValueID) -> Node? { readers(of: id) == 1 ? producer(of: id) : nil }
}
