import OunceGraph

/// Decision trees of `ai.onnx.ml` as the tables of one operator.
struct TreeTables {
    private struct Key: Hashable {
        var tree: Int
        var node: Int
    }
    private var nodes: [[Int64]] = []
    private var limits: [Double] = []
    private var roots: [Int64] = []
    private var starts: [Int64] = [0]
    private var targets: [Int64] = []
    private var weights: [Double] = []

    private static let maximumNodes = 1 << 22
    private static let rules: [String: TreeEnsemble.Rule] = [
        "BRANCH_LEQ": .lessOrEqual, "BRANCH_LT": .less, "BRANCH_GTE": .greaterOrEqual, "BRANCH_GT": .greater,
        "BRANCH_EQ": .equal, "BRANCH_NEQ": .notEqual,
    ]

    /// The lists of TreeEnsembleRegressor (`prefix` "target") and TreeEnsembleClassifier ("class").
    init(_ node: inout ONNXNode, prefix: String) throws(ImportFailure) {
        let trees = node.ints("nodes_treeids") ?? []
        let ids = node.ints("nodes_nodeids") ?? []
        let features = node.ints("nodes_featureids") ?? []
        let modes = (node.attribute("nodes_modes")?.strings ?? []).map { String(decoding: $0, as: UTF8.self) }
        let values = try Self.reals(&node, "nodes_values")
        let yes = node.ints("nodes_truenodeids") ?? []
        let no = node.ints("nodes_falsenodeids") ?? []
        let tracks = node.ints("nodes_missing_value_tracks_true") ?? [Int](repeating: 0, count: trees.count)
        node.ignore("nodes_hitrates", "nodes_hitrates_as_tensor")
        let count = trees.count
        guard count > 0, count <= Self.maximumNodes,
            [ids.count, features.count, modes.count, values.count, yes.count, no.count].allSatisfy({ $0 == count }),
            tracks.count == count || tracks.isEmpty
        else { throw .corrupt("the lists of its nodes differ in length") }
        let entryTrees = node.ints("\(prefix)_treeids") ?? []
        let entryNodes = node.ints("\(prefix)_nodeids") ?? []
        let entryTargets = node.ints("\(prefix)_ids") ?? []
        let entryWeights = try Self.reals(&node, "\(prefix)_weights")
        guard [entryNodes.count, entryTargets.count, entryWeights.count].allSatisfy({ $0 == entryTrees.count }),
            entryTrees.count <= Self.maximumNodes
        else { throw .corrupt("the lists of its leaves differ in length") }
        var entries: [Key: [Int]] = [:]
        for index in entryTrees.indices {
            entries[Key(tree: entryTrees[index], node: entryNodes[index]), default: []].append(index)
        }
        var places: [Key: Int64] = [:]
        var branches: [Int] = []
        for index in 0..<count {
            let key = Key(tree: trees[index], node: ids[index])
            guard places[key] == nil else { throw .corrupt("node \(ids[index]) of tree \(trees[index]) stands twice") }
            if modes[index] == "LEAF" {
                let own = entries[key] ?? []
                places[key] = addLeaf(own.map { (entryTargets[$0], entryWeights[$0]) })
            } else {
                places[key] = Int64(branches.count)
                branches.append(index)
            }
        }
        for index in branches {
            guard let rule = Self.rules[modes[index]] else { throw .unsupported("mode '\(modes[index])' of a tree") }
            let (a, b) = (Key(tree: trees[index], node: yes[index]), Key(tree: trees[index], node: no[index]))
            guard let a = places[a], let b = places[b] else { throw .corrupt("a branch of a tree leads nowhere") }
            nodes.append([
                Int64(features[index]), Int64(rule.rawValue), a, b, index < tracks.count ? Int64(tracks[index]) : 0,
            ])
            limits.append(values[index])
        }
        var seen: Set<Int> = []
        // The first node of each tree is its root.
        for index in 0..<count where seen.insert(trees[index]).inserted {
            if let place = places[Key(tree: trees[index], node: ids[index])] { roots.append(place) }
        }
    }

    /// TreeEnsemble of version 5: branches and leaves in lists of their own.
    init(_ node: inout ONNXNode) throws(ImportFailure) {
        let features = node.ints("nodes_featureids") ?? []
        guard let modes = try node.attribute("nodes_modes").map({ (a) throws(ImportFailure) in try a.t.tensor() }),
            let splits = try node.attribute("nodes_splits").map({ (a) throws(ImportFailure) in try a.t.tensor() }),
            let leafWeights = try node.attribute("leaf_weights").map({ (a) throws(ImportFailure) in try a.t.tensor() })
        else { throw .corrupt("modes, splits or weights are missing") }
        let members = try node.attribute("membership_values").map { (a) throws(ImportFailure) in try a.t.tensor() }
        node.ignore("nodes_hitrates")
        let (rules, values) = (modes.doubles().map { Int($0) }, splits.doubles())
        let (yes, yesLeaf) = (node.ints("nodes_truenodeids") ?? [], node.ints("nodes_trueleafs") ?? [])
        let (no, noLeaf) = (node.ints("nodes_falsenodeids") ?? [], node.ints("nodes_falseleafs") ?? [])
        let tracks = node.ints("nodes_missing_value_tracks_true") ?? []
        let (leafTargets, leafReals) = (node.ints("leaf_targetids") ?? [], leafWeights.doubles())
        let count = features.count
        guard [rules, yes, yesLeaf, no, noLeaf].allSatisfy({ $0.count == count }), values.count == count,
            leafTargets.count == leafReals.count, count <= Self.maximumNodes, leafTargets.count <= Self.maximumNodes
        else { throw .corrupt("the lists of its nodes differ in length") }
        for (target, weight) in zip(leafTargets, leafReals) { _ = addLeaf([(target, weight)]) }
        // Sets of members are separated by NaN, one for each node of that mode in order.
        var sets = members?.doubles().split(omittingEmptySubsequences: false, whereSeparator: \.isNaN).makeIterator()
        func place(_ index: Int, _ isLeaf: Int) throws(ImportFailure) -> Int64 {
            guard index >= 0, index < (isLeaf != 0 ? leafTargets.count : count) else {
                throw .corrupt("a branch of a tree leads nowhere")
            }
            return isLeaf != 0 ? -1 - Int64(index) : Int64(index)
        }
        var chains: [[Int64]] = []
        var chainLimits: [Double] = []
        for index in 0..<count {
            let (a, b) = (try place(yes[index], yesLeaf[index]), try place(no[index], noLeaf[index]))
            let track = index < tracks.count ? Int64(tracks[index]) : 0
            let feature = Int64(features[index])
            guard rules[index] == 6 else {
                // 0 ≤, 1 <, 2 ≥, 3 >, 4 =, 5 ≠ here as in ONNX.
                guard TreeEnsemble.Rule(rawValue: rules[index]) != nil else { throw .corrupt("mode \(rules[index])") }
                nodes.append([feature, Int64(rules[index]), a, b, track])
                limits.append(values[index])
                continue
            }
            // A set of members is a chain of comparisons; its first stands in the node's own place.
            guard let set = sets?.next(), !set.isEmpty, set.count <= 1 << 16 else {
                throw .corrupt("a set of members is missing")
            }
            let equal = Int64(TreeEnsemble.Rule.equal.rawValue)
            for (place, member) in set.enumerated() {
                let isLast = place == set.count - 1
                let next = isLast ? b : Int64(count + chains.count + (place == 0 ? 0 : 1))
                let row = [feature, equal, a, next, track]
                if place == 0 {
                    nodes.append(row)
                    limits.append(member)
                } else {
                    chains.append(row)
                    chainLimits.append(member)
                }
            }
        }
        nodes += chains
        limits += chainLimits
        roots = (node.ints("tree_roots") ?? []).map { Int64($0) }
        guard roots.allSatisfy({ (0..<Int64(count)).contains($0) }) else { throw .corrupt("a root of no tree") }
    }

    private mutating func addLeaf(_ entries: [(Int, Double)]) -> Int64 {
        targets += entries.map { Int64($0.0) }
        weights += entries.map(\.1)
        starts.append(Int64(targets.count))
        return -Int64(starts.count - 1)
    }

    static func reals(_ node: inout ONNXNode, _ name: String) throws(ImportFailure) -> [Double] {
        if let tensor = node.attribute("\(name)_as_tensor") { return try tensor.t.tensor().doubles() }
        return node.attribute(name)?.floats.map { Double($0) } ?? []
    }

    /// Which targets the leaves speak of, and whether a weight is negative.
    var leafTargets: Set<Int64> { Set(targets) }
    var hasNegativeWeight: Bool { weights.contains { $0 < 0 } }

    func emit(
        _ x: ValueID, _ ensemble: TreeEnsemble, in translation: inout ONNXTranslation
    ) throws(ImportFailure) -> ValueID {
        let tables: [ValueID?] = [
            x, try translation.numbers(nodes.flatMap { $0 }, [nodes.count, 5]), try translation.numbers(limits),
            try translation.numbers(roots), try translation.numbers(starts), try translation.numbers(targets),
            try translation.numbers(weights),
        ]
        return try translation.make(.treeEnsemble(ensemble), tables)
    }
}

extension ONNXTensorProto {
    /// The places of a list of names, from 0: what stands for the names of classes here. nil for numbers.
    func labels() -> Tensor? {
        guard dataType == 8, dims.count <= 1, (0...1 << 16).contains(dims.first ?? 1) else { return nil }
        return Tensor((0..<(dims.first ?? 1)).map { Int64($0) }, shape: Shape(dims.map { Int($0) }))
    }
}
