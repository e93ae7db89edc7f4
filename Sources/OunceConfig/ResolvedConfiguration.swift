/// The settings together with the files that they name.
package struct ResolvedConfiguration: Sendable, Hashable {
    package enum RecipeSelection: Sendable, Hashable {
        /// To be chosen by measuring these, in order of their names.
        case auto([Recipe])
        case fixed(Recipe)
    }

    package struct Model: Sendable, Hashable {
        package let settings: ModelSettings
        /// nil: a ready artifact, which needs none.
        package let recipe: RecipeSelection?
    }

    package let settings: DaemonSettings
    package let profile: DeviceProfile
    /// In the order of the settings.
    package let models: [Model]

    /// SHA-256 over the meaning of all files together; the same hash: nothing has changed.
    package var canonicalHash: String {
        let recipes: [CanonicalValue] = models.map { model in
            switch model.recipe {
            case .auto(let candidates): .list(candidates.map(\.canonical))
            case .fixed(let recipe): recipe.canonical
            case nil: .none
            }
        }
        return CanonicalValue.list([settings.canonical, profile.canonical, .list(recipes)]).hash(
            kind: "configuration")
    }
}
