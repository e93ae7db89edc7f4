/// One pass over a configuration: reads each file once and collects what is wrong in all of them.
struct LoadPass {
    private static let maxRecipes = 256

    private let loader: ConfigLoader
    private var sinks: [DiagnosticSink] = []
    /// By path; nil: wrong, and reported.
    private var recipesRead: [String: Recipe?] = [:]

    init(loader: ConfigLoader) { self.loader = loader }

    var diagnostics: [Diagnostic] {
        var seen: Set<Diagnostic> = []
        return sinks.flatMap(\.diagnostics).filter { seen.insert($0).inserted }
    }

    /// The value, or all that was found wrong on the way to it.
    func finish<T>(_ value: T?) throws(ConfigError) -> T {
        let diagnostics = diagnostics
        guard let value, diagnostics.isEmpty else { throw ConfigError(diagnostics) }
        return value
    }

    mutating func keep(_ file: ConfigFile) {
        sinks.append(file.sink)
        if let failure = file.failure {
            file.sink.report(.start, "cannot read the file: \(failure.reason)", failure.remedy)
        }
    }

    mutating func profile(_ file: ConfigFile) -> DeviceProfile? {
        keep(file)
        return file.document("device profile").flatMap { DeviceProfile($0) }
    }

    mutating func recipe(_ file: ConfigFile) -> Recipe? {
        keep(file)
        return file.document("recipe").flatMap { Recipe($0) }
    }

    mutating func configuration(_ file: ConfigFile) -> ResolvedConfiguration? {
        keep(file)
        guard let root = file.document("settings") else { return nil }
        let paths = PathResolver(file: file.sink.file, shareDirectories: loader.shareDirectories)
        let settings = DaemonSettings(root, paths: paths, defaultStateDirectory: loader.defaultStateDirectory)

        // Files are followed from the tree, so that their errors are reported together with those of the settings.
        let profile = root["profile"].flatMap { self.profile(namedBy: $0, paths) }
        let directory = root["recipes"]?.silent.text().map(paths.find)
        let recipes = (root["models"]?.items ?? []).map { selection($0, paths, recipesDirectory: directory) }

        guard let settings, let profile, recipes.count == settings.models.count else { return nil }
        let models = zip(settings.models, recipes).map { ResolvedConfiguration.Model(settings: $0, recipe: $1) }
        return ResolvedConfiguration(settings: settings, profile: profile, models: models)
    }

    /// All recipes of a directory, in order of their file names.
    ///
    /// - Parameter place: where the directory is named; nil: nowhere in a file.
    mutating func recipes(in directory: String, namedBy place: Field? = nil) -> [Recipe]? {
        let paths: [String]
        switch DirectoryListing.files(in: directory, suffix: ".yaml", limit: Self.maxRecipes) {
        case .success(let names) where names.isEmpty:
            report("there are no .yaml files in \(quoted(directory))", "put recipes there", directory, place)
            return nil
        case .success(let names): paths = names.map { PathResolver.join(directory, $0) }
        case .failure(let failure):
            report("cannot list recipes in \(quoted(directory)): \(failure.reason)", failure.remedy, directory, place)
            return nil
        }
        let recipes = paths.compactMap { recipe(at: $0, namedBy: place) }
        return recipes.count == paths.count ? recipes : nil
    }

    private mutating func profile(namedBy field: Field, _ paths: PathResolver) -> DeviceProfile? {
        switch DaemonSettings.ProfileChoice(field.silent, paths) {
        case .inline(let profile): return profile
        case .file(let path):
            guard let file = open(path, namedBy: field) else { return nil }
            return profile(file)
        case nil: return nil
        }
    }

    /// nil also for a ready artifact.
    private mutating func selection(
        _ model: Field, _ paths: PathResolver, recipesDirectory: String?
    ) -> ResolvedConfiguration.RecipeSelection? {
        if model["artifact"] != nil { return nil }
        let place = model["recipe"] ?? model
        let choice: ModelSettings.RecipeChoice? =
            if let field = model["recipe"] {
                ModelSettings.RecipeChoice(field.silent, paths, recipesDirectory: recipesDirectory)
            } else {
                .auto
            }
        switch choice {
        case .auto:
            return recipes(in: recipesDirectory ?? paths.find("recipes"), namedBy: place).map { .auto($0) }
        case .file(let path): return recipe(at: path, namedBy: place).map { .fixed($0) }
        case .inline(let recipe): return .fixed(recipe)
        case nil: return nil
        }
    }

    private mutating func recipe(at path: String, namedBy place: Field?) -> Recipe? {
        if let known = recipesRead[path] { return known }
        let file: ConfigFile
        if let place {
            // Reported at each place that names it, hence not remembered.
            guard let opened = open(path, namedBy: place) else { return nil }
            file = opened
        } else {
            file = ConfigFile(path: path)
        }
        let read = recipe(file)
        recipesRead[path] = .some(read)
        return read
    }

    private func open(_ path: String, namedBy place: Field) -> ConfigFile? {
        let file = ConfigFile(path: path)
        guard let failure = file.failure else { return file }
        place.report("cannot read \(quoted(path)): \(failure.reason)", failure.remedy)
        return nil
    }

    private mutating func report(_ message: String, _ remedy: String, _ path: String, _ place: Field?) {
        if let place { return place.report(message, remedy) }
        let sink = DiagnosticSink(file: path)
        sink.report(.start, message, remedy)
        sinks.append(sink)
    }
}
