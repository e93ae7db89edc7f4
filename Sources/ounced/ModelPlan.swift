import OunceConfig
import OunceRuntime
import OunceSystem

/// What one model of the settings comes down to on this device: which artifact, run how.
struct ModelPlan: Sendable {
    /// Two plans with the same identity serve the same bits in the same way.
    struct Identity: Hashable, Sendable {
        let key: String
        let threads: Int
        let allowedISAs: Set<String>?
    }

    let settings: ModelSettings
    let recipe: ResolvedConfiguration.RecipeSelection?
    let identity: Identity
    /// Where its artifact is, or is to be.
    let artifact: String
    /// Bytes of the file that it is made from: its weight when memory is divided.
    let sourceBytes: Int

    var name: String { settings.name }
    var key: String { identity.key }

    /// - Throws: where a file that it is made from cannot be read.
    init(
        _ model: ResolvedConfiguration.Model, of configuration: ResolvedConfiguration, cache: ArtifactCache,
        hasher: FileHasher, cores: Int
    ) throws(SystemError) {
        settings = model.settings
        recipe = model.recipe
        let profile = configuration.profile
        let allowed = profile.maxThreads(onlineCPUs: cores)
        let threads = max(1, min(settings.threads ?? allowed, allowed))
        let key: String
        switch settings.origin {
        case .artifact(let path):
            key = try hasher.hash(of: path)
            artifact = path
            sourceBytes = FileSize.of(path)
        case .source(let path):
            key = FileHasher.hash(of: try Self.ingredients(model, path, profile, threads, hasher))
            artifact = cache.path(of: key)
            sourceBytes = FileSize.of(path)
        }
        identity = Identity(key: key, threads: threads, allowedISAs: profile.allowedISAs)
    }

    /// All that the artifact depends on.
    private static func ingredients(
        _ model: ResolvedConfiguration.Model, _ source: String, _ profile: DeviceProfile, _ threads: Int,
        _ hasher: FileHasher
    ) throws(SystemError) -> [String] {
        let settings = model.settings
        var parts = [Ounce.version, try hasher.hash(of: source), profile.canonicalHash]
        let folder = source.lastIndex(of: "/").map { String(source[...$0]) } ?? ""
        for file in ExternalFiles.named(by: source) {
            // One that is missing is a fault of the model, which compressing it will name.
            parts += ["external", file, (try? hasher.hash(of: folder + file)) ?? "-"]
        }
        parts += settings.shapes.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        parts += settings.values.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        for data in [settings.calibration, settings.validation, settings.training] {
            parts.append(try data.map { (path) throws(SystemError) in try hasher.hash(of: path) } ?? "-")
        }
        parts.append(settings.accuracy?.metric.rawValue ?? "-")
        parts += settings.states.sorted { $0.key < $1.key }.flatMap { ["state", $0.key, $0.value] }
        switch model.recipe {
        case .fixed(let recipe): parts += ["fixed", recipe.canonicalHash]
        case .auto(let candidates):
            // What is chosen depends on the limits too; a fixed recipe is applied whatever they say.
            parts += ["auto"] + candidates.map(\.canonicalHash)
            parts.append(settings.accuracy?.maxDrop?.description ?? "-")
            parts.append(settings.accuracy?.floor?.description ?? "-")
            parts.append(settings.latencyP99?.description ?? "-")
            parts.append(String(threads))
        case nil: parts.append("-")
        }
        return parts
    }
}
