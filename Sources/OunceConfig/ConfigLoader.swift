import Glibc

/// Reads configuration files and those that they name.
package struct ConfigLoader: Sendable {
    /// Where profiles, recipes, models and data are that are not beside the file that names them.
    package let shareDirectories: [String]
    /// Where compressed models are kept when the settings do not say.
    package let defaultStateDirectory: String

    /// - Parameter defaultStateDirectory: nil: the first of `$STATE_DIRECTORY` (systemd.exec), else `/var/lib/ounce`.
    package init(shareDirectories: [String] = ["/usr/share/ounce"], defaultStateDirectory: String? = nil) {
        self.shareDirectories = shareDirectories
        let given = getenv("STATE_DIRECTORY").map { String(cString: $0) }
        self.defaultStateDirectory =
            defaultStateDirectory ?? given?.split(separator: ":").first.map(String.init) ?? "/var/lib/ounce"
    }

    /// Settings with their profile and recipes.
    ///
    /// - Throws: what is wrong in all of these files together.
    package func load(settingsAt path: String) throws(ConfigError) -> ResolvedConfiguration {
        let pass = LoadPass(loader: self)
        return try pass.finish(pass.configuration(ConfigFile(path: path)))
    }

    /// - Parameter name: the path of a file, or the name of one in `profiles` under a share directory.
    package func profile(_ name: String) throws(ConfigError) -> DeviceProfile {
        let pass = LoadPass(loader: self)
        return try pass.finish(pass.profile(ConfigFile(path: locate(name, in: "profiles"))))
    }

    /// - Parameter name: the path of a file, or the name of one in `recipes` under a share directory.
    package func recipe(_ name: String) throws(ConfigError) -> Recipe {
        let pass = LoadPass(loader: self)
        return try pass.finish(pass.recipe(ConfigFile(path: locate(name, in: "recipes"))))
    }

    /// The recipes among which `auto` chooses when no settings name a directory: those of the first share directory
    /// that has `recipes`, in order of their file names.
    package func shippedRecipes() throws(ConfigError) -> [Recipe] {
        let pass = LoadPass(loader: self)
        let directories = shareDirectories.map { PathResolver.join($0, "recipes") }
        let directory = directories.first(where: PathResolver.exists) ?? directories.first ?? "recipes"
        return try pass.finish(pass.recipes(in: directory))
    }

    /// The recipes of a folder, in order of their file names.
    package func recipes(in directory: String) throws(ConfigError) -> [Recipe] {
        let pass = LoadPass(loader: self)
        return try pass.finish(pass.recipes(in: directory))
    }

    /// Everything that is wrong in these files, whatever kind each is; settings are followed to the files they name.
    package func check(_ paths: [String]) -> [Diagnostic] {
        let pass = LoadPass(loader: self)
        for path in paths {
            let file = ConfigFile(path: path)
            switch FileKind(file) {
            case .settings: _ = pass.configuration(file)
            case .profile: _ = pass.profile(file)
            case .recipe: _ = pass.recipe(file)
            case nil: pass.keep(file)
            }
        }
        return pass.diagnostics
    }

    private func locate(_ name: String, in directory: String) -> String {
        if isPath(name) { return name }
        let candidates = shareDirectories.map { PathResolver.join(PathResolver.join($0, directory), name + ".yaml") }
        return candidates.first(where: PathResolver.exists) ?? candidates.first ?? name
    }
}
