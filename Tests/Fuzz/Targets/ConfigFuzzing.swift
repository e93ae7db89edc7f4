import OunceConfig

enum ConfigFuzzing {
    private static let loader = ConfigLoader(shareDirectories: ["/nonexistent"], defaultStateDirectory: "/nonexistent")

    static func load(_ bytes: [UInt8]) {
        let file = MemoryFile(bytes)
        _ = loader.check([file.path]).map(\.description)
        if let settings = try? loader.load(settingsAt: file.path) { _ = settings.canonicalHash }
        // What is read can be written, and reads back with the same hash.
        if let profile = try? loader.profile(file.path) {
            let copy = MemoryFile(Array(ConfigSnapshot.yaml(profile).utf8))
            check((try? loader.profile(copy.path))?.canonicalHash == profile.canonicalHash)
        }
        if let recipe = try? loader.recipe(file.path) {
            let copy = MemoryFile(Array(ConfigSnapshot.yaml(recipe).utf8))
            check((try? loader.recipe(copy.path))?.canonicalHash == recipe.canonicalHash)
        }
    }
}
