import OunceConfig
import OunceGraph

/// One round of taking channels or heads out of a graph.
struct ChannelPruner {
    let pruning: Pruning
    let graph: Graph
    /// Of the model, before the first round.
    let start: Start
    let coupling: ChannelCoupling
    let families: [ChannelFamily]
    /// nil: layers stay as they are.
    var reconstruction: ChannelReconstruction?

    /// What shares are of.
    struct Start {
        var cost: ChannelCost
        /// Channels of each family, by its layers.
        var counts: [[String]: Int]
    }

    /// - Throws: `.recipe` where nothing can go, with the reasons.
    init(_ pruning: Pruning, _ graph: Graph, start: Start?) throws(CompressError) {
        self.pruning = pruning
        self.graph = graph
        let coupling = try ChannelCoupling(graph)
        self.coupling = coupling
        families = coupling.families().filter { family in
            family.isHeads == (pruning.what == .heads)
                && family.producers.contains { pruning.selection.covers(graph.nodes[$0.node], in: graph) }
                && !family.layers.contains { name in pruning.selection.keep.contains { $0.matches(name) } }
        }
        guard !families.isEmpty else { throw Self.nothing(coupling, pruning) }
        var counts: [[String]: Int] = [:]
        for family in families { counts[family.layers] = family.sets.count }
        self.start = start ?? Start(cost: coupling.cost(without: [], ends: [:]), counts: counts)
    }

    private static func nothing(_ coupling: ChannelCoupling, _ pruning: Pruning) -> CompressError {
        if pruning.what == .heads {
            return CompressError(
                .recipe,
                "prune: the model has no attention whose heads could be told apart; 'what: channels' looks at all layers"
            )
        }
        let reasons = Set(
            coupling.producers.compactMap { use -> String? in
                coupling.roots(use.constant, use.axis).first.flatMap { coupling.sets.reason($0) }
            }
        ).sorted().prefix(3)
        return CompressError(
            .recipe,
            "prune: no layer that the step chooses has channels that could go"
                + (reasons.isEmpty ? "" : ": " + reasons.joined(separator: "; ")))
    }

    /// How many channels of each family stay.
    private struct State {
        var kept: [Int]
        var removed: Set<Int> = []
        var ends: [Int: ValueID] = [:]
    }

    /// - Parameters:
    ///   - scores: for each set of channels how much it matters.
    ///   - damage: what a graph loses; nil: there are no samples.
    ///   - share: the part of what is to go that is gone after this round.
    func pruned(
        scores: [[Int: Double]], damage: ChannelDamage?, share: Double, progress: (Double) -> Void
    ) throws(CompressError) -> (graph: Graph, cost: ChannelCost) {
        // The least important first; equal ones in the order of the graph.
        let order = zip(families, scores).map { family, scores in
            family.sets.sorted { (scores[$0] ?? 0, $0) < (scores[$1] ?? 0, $1) }
        }
        let kept: [Int]
        switch (pruning.amount, pruning.scope) {
        case (.removed(let ratio), .layer): kept = families.map { keptCount($0, 1 - ratio * share) }
        case (.removed(let ratio), .global): kept = pooled(scores, ratio * share)
        case (_, .layer): kept = try evenly(order, share)
        case (_, .global):
            guard let damage else {
                throw CompressError(
                    .recipe,
                    "prune: 'target' tries on samples what each layer bears: give --data F.npz or --calibration F.npz, "
                        + "or write 'scope: layer' to take the same share of each")
            }
            kept = try cheapest(order, share, damage, progress)
        }
        let state = state(kept, order)
        return (try made(state), coupling.cost(without: state.removed, ends: state.ends))
    }

    private func made(_ state: State) throws(CompressError) -> Graph {
        let adapted = reconstruction?.adapted(graph, families, removing: state.removed)
        return try coupling.removing(state.removed, ends: state.ends, from: adapted ?? graph)
    }

    private func unit(_ family: ChannelFamily) -> Int {
        family.isHeads ? 1 : ChannelCounts.unit(start.counts[family.layers] ?? family.sets.count)
    }

    private func keptCount(_ family: ChannelFamily, _ share: Double) -> Int {
        let whole = start.counts[family.layers] ?? family.sets.count
        return min(
            family.sets.count,
            ChannelCounts.near(Double(whole) * share, of: family.sets.count, unit: unit(family)))
    }

    private func state(_ kept: [Int], _ order: [[Int]]) -> State {
        var state = State(kept: kept)
        for (index, family) in families.enumerated() {
            if kept[index] == 0, let ends = coupling.branchEnds(of: family) {
                state.ends.merge(ends) { first, _ in first }
            } else {
                state.removed.formUnion(order[index].prefix(family.sets.count - kept[index]))
            }
        }
        return state
    }

    private func cost(_ kept: [Int], _ order: [[Int]]) -> ChannelCost {
        let state = state(kept, order)
        return coupling.cost(without: state.removed, ends: state.ends)
    }

    /// The share of all channels that matter least, wherever they are.
    private func pooled(_ scores: [[Int: Double]], _ ratio: Double) -> [Int] {
        let all = families.indices.flatMap { index in
            families[index].sets.map { (score: scores[index][$0] ?? 0, root: $0, family: index) }
        }.sorted { ($0.score, $0.root) < ($1.score, $1.root) }
        let total = start.counts.values.reduce(0, +)
        let goes = min(all.count, max(0, Int((Double(total) * ratio).rounded()) - (total - all.count)))
        var kept = families.map(\.sets.count)
        for entry in all.prefix(goes) { kept[entry.family] -= 1 }
        return families.indices.map { index in
            ChannelCounts.near(Double(kept[index]), of: families[index].sets.count, unit: unit(families[index]))
        }
    }

    /// Whether a cost is what was asked for after this round.
    private func isReached(_ cost: ChannelCost, _ share: Double) -> Bool {
        guard case .cost(let macs, let time) = pruning.amount else { return true }
        func stays(_ goal: Double) -> Double { 1 - (1 - goal) * share }
        let (macsLeft, timeLeft) = (
            Double(cost.macs) / Double(max(start.cost.macs, 1)), cost.time / max(start.cost.time, 1)
        )
        if let time { return timeLeft <= stays(time) && macsLeft <= stays(macs ?? 1) }
        guard let macs, macsLeft <= stays(macs) else { return false }
        // Fewer multiplications are no end in themselves: the time is to fall with them, within reason.
        return timeLeft <= stays(min(1, macs + Self.timeMargin)) || macsLeft <= stays(macs * Self.leastShare)
    }

    /// How much larger the share of the time may be than that of the multiplications, where only the latter is asked for:
    /// what layers take besides.
    private static let timeMargin = 0.1
    /// How far below the share of multiplications that was asked for one may go for that.
    private static let leastShare = 0.7

    private func unreachable(_ cost: ChannelCost) -> CompressError {
        CompressError(
            .recipe,
            "prune: even with the fewest channels \(percent(Double(cost.macs), Double(start.cost.macs))) of the "
                + "multiplications and \(percent(cost.time, start.cost.time)) of the estimated time stay; ask for less, or "
                + "choose more layers")
    }

    private func percent(_ part: Double, _ whole: Double) -> String {
        "\(Compressor.text(part / max(whole, 1) * 100, 1)) %"
    }

    /// What is left of the model that the step began with.
    func summary(_ cost: ChannelCost) -> String {
        "\(percent(Double(cost.macs), Double(start.cost.macs))) of the multiplications and an estimated "
            + "\(percent(cost.time, start.cost.time)) of the time stay"
    }

    /// The same share of every family.
    private func evenly(_ order: [[Int]], _ share: Double) throws(CompressError) -> [Int] {
        for percent in 0..<100 {
            let kept = families.map { keptCount($0, 1 - Double(percent) / 100) }
            if isReached(cost(kept, order), share) { return kept }
        }
        throw unreachable(cost(families.map { keptCount($0, 0) }, order))
    }

    /// Step by step what costs the least damage for the time that it saves, where damages are measured one family at a time.
    private func cheapest(
        _ order: [[Int]], _ share: Double, _ damage: ChannelDamage, _ progress: (Double) -> Void
    ) throws(CompressError) -> [Int] {
        let whole = families.map(\.sets.count)
        var options = families.map { family in
            ChannelCounts.steps(below: family.sets.count, unit: unit(family)).map { (kept: $0, damage: 0.0) }
        }
        for (index, family) in families.enumerated() where coupling.branchEnds(of: family) != nil || family.isPart {
            options[index].append((0, 0))
        }
        for index in families.indices {
            var worst = 0.0
            for place in options[index].indices {
                var kept = whole
                kept[index] = options[index][place].kept
                worst = max(worst, try damage(try made(state(kept, order))))
                options[index][place].damage = worst
            }
            progress(Double(index + 1) / Double(families.count))
        }
        var kept = whole
        var taken = [Double](repeating: 0, count: families.count)
        var current = cost(kept, order)
        // One larger step may end the search at less damage than the small ones that the prices suggest.
        var shortcut: (kept: [Int], damage: Double)?
        while !isReached(current, share) {
            var best: (family: Int, option: Int, price: Double, cost: ChannelCost)?
            for index in families.indices {
                for (place, option) in options[index].enumerated() where option.kept < kept[index] {
                    var trial = kept
                    trial[index] = option.kept
                    let cost = cost(trial, order)
                    guard cost.time < current.time else { continue }
                    let more = max(option.damage - taken[index], 1e-9)
                    let total = taken.reduce(0, +) + more
                    if isReached(cost, share), total < shortcut?.damage ?? .infinity { shortcut = (trial, total) }
                    let price = more / (current.time - cost.time)
                    if price < best?.price ?? .infinity { best = (index, place, price, cost) }
                }
            }
            guard let best else { throw unreachable(current) }
            kept[best.family] = options[best.family][best.option].kept
            taken[best.family] = options[best.family][best.option].damage
            current = best.cost
        }
        if let shortcut, shortcut.damage < taken.reduce(0, +) { kept = shortcut.kept }
        return refilled(kept, options, order, share)
    }

    /// Gives channels back where more went than the target asks for: the last steps were larger than what was missing.
    private func refilled(
        _ kept: [Int], _ options: [[(kept: Int, damage: Double)]], _ order: [[Int]], _ share: Double
    ) -> [Int] {
        var kept = kept
        func damage(_ index: Int, _ count: Int) -> Double { options[index].first { $0.kept == count }?.damage ?? 0 }
        while true {
            var best: (family: Int, count: Int, gain: Double)?
            for index in families.indices {
                for count in options[index].map(\.kept) + [families[index].sets.count] where count > kept[index] {
                    let gain = damage(index, kept[index]) - damage(index, count)
                    guard gain >= best?.gain ?? 0 else { continue }
                    var trial = kept
                    trial[index] = count
                    if isReached(cost(trial, order), share) { best = (index, count, gain) }
                }
            }
            guard let best else { return kept }
            kept[best.family] = best.count
        }
    }
}
