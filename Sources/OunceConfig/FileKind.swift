/// What a configuration file is, by its keys.
enum FileKind: CaseIterable {
    case profile, recipe, settings

    /// nil when the keys fit none or several; it is reported then.
    init?(_ file: ConfigFile) {
        guard let document = file.document("file") else { return nil }
        guard case .mapping(let entries) = document.node.content else {
            document.report(
                "a configuration file must be a mapping, found \(document.node.summary)", "write 'key: value' lines")
            return nil
        }
        let keys = entries.map(\.key)
        var fitting = Self.allCases.filter { kind in keys.contains { kind.telling.contains($0) } }
        if fitting.isEmpty {
            fitting = Self.allCases.filter { kind in keys.contains { nearest(to: $0, among: kind.telling) != nil } }
        }
        if fitting.count == 1, let kind = fitting.first {
            self = kind
            return
        }
        let examples = Self.allCases.map { "\($0.name) has \(alternatives($0.telling))" }.joined(separator: ", ")
        document.report(
            fitting.isEmpty
                ? "no key tells what kind of file this is"
                : "has keys of \(fitting.map(\.name).joined(separator: " and of "))",
            "keep one kind in a file: \(examples)")
        return nil
    }

    private var name: String {
        switch self {
        case .profile: "a device profile"
        case .recipe: "a recipe"
        case .settings: "settings"
        }
    }

    /// Keys of this kind only.
    private var telling: [String] {
        switch self {
        case .profile: ["cores", "memory", "simd", "power"]
        case .recipe: ["steps"]
        case .settings: DaemonSettings.keys
        }
    }
}
