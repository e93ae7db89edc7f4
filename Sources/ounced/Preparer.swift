import Glibc
import OunceRuntime
import OunceServer
import OunceSystem

/// Makes a version that may be served from an artifact: mapped, checked, lowered, replayed and measured.
enum Preparer {
    /// Runs of the first self-check whose median is the measured latency.
    private static let measuredRuns = 5

    /// Most time that goes into choosing kernels, once for each kind of step: the state folder keeps the results.
    private static let measuringSeconds = 1.0

    static func prepare(
        _ plan: ModelPlan, memoryLimit: Int?, cache: ArtifactCache
    ) throws(RuntimeError) -> ModelVersion {
        let artifact = try Artifact.open(path: try ownFile(of: plan, cache))
        let options = RuntimeOptions(
            allowedISAs: plan.identity.allowedISAs, threads: plan.identity.threads, memoryLimit: memoryLimit,
            selection: .measured(seconds: measuringSeconds, cacheDirectory: cache.root))
        let model = try Model(graph: artifact.graph, options: options)
        try model.verify(artifact.selfChecks)
        let description = try artifact.description
        return ModelVersion(
            name: plan.name, version: String(plan.key.prefix(12)), model: model,
            details: .init(
                key: plan.key, profile: description.provenance.profileName, recipe: description.provenance.recipeName,
                report: description.report, artifactBytes: FileSize.of(plan.artifact),
                latencyMicroseconds: try latency(of: model, artifact.selfChecks.first)))
    }

    /// The file to map. A ready artifact is the user's, who may write over it: of that a copy in the state folder is served.
    private static func ownFile(of plan: ModelPlan, _ cache: ArtifactCache) throws(RuntimeError) -> String {
        guard case .artifact(let path) = plan.settings.origin else { return plan.artifact }
        let copy = cache.path(of: plan.key)
        // Errors name the user's file.
        _ = try Artifact.open(path: path)
        if cache.exists(plan.key) { return copy }
        do {
            try FileHasher.copy(path, to: copy, expecting: plan.key)
        } catch {
            throw RuntimeError(.io, "\(path): cannot be copied to the state folder: \(error.message)")
        }
        return copy
    }

    private static func latency(of model: Model, _ check: SelfCheck?) throws(RuntimeError) -> Int {
        guard let check else { return 0 }
        let clock = ContinuousClock()
        var times: [Duration] = []
        for _ in 0..<measuredRuns {
            let start = clock.now
            _ = try model.run(check.inputs)
            times.append(clock.now - start)
        }
        times.sort()
        return max(1, Int(times[measuredRuns / 2] / .microseconds(1)))
    }

    /// Bytes that each model may take of what the profile allows: one half in equal parts, the other by the size of
    /// what it is made from, so that a small model beside a large one has room to work.
    static func memoryShares(_ plans: [ModelPlan], total: Int) -> [String: Int] {
        let sum = plans.reduce(0.0) { $0 + Double($1.sourceBytes) }
        var shares: [String: Int] = [:]
        for plan in plans {
            let equal = 1 / Double(plans.count)
            let weight = sum > 0 ? Double(plan.sourceBytes) / sum : equal
            shares[plan.name] = Int(Double(total) * (equal + weight) / 2)
        }
        return shares
    }
}
