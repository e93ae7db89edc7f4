extension DaemonSettings {
    static let keys = ["profile", "recipes", "state", "models", "server", "compress", "log"]

    init?(_ field: Field, paths: PathResolver, defaultStateDirectory: String) {
        guard let fields = field.fields(Self.keys) else { return nil }
        let profile = fields.required("profile") { ProfileChoice($0, paths) }
        let recipes = fields.optional("recipes") { $0.text().map(paths.find) }
        let state = fields.optional("state") { $0.text().map(paths.beside) }
        let models = fields.required("models") { field in
            field.list(count: 0...1000) { ModelSettings($0, paths, recipesDirectory: recipes) }
        }
        let server = fields.required("server") { Server($0, paths) }
        let compress = fields.optional("compress") { Compress($0) }
        let logLevel = fields.optional("log") { field in
            field.fields(["level"])?.required("level") { $0.choice(LogLevel.allCases.map { ($0.rawValue, $0) }) }
        }
        fields.optional("models") { Self.reportRepeatedNames($0) }
        guard let profile, let models, let server else { return nil }
        self.init(
            profile: profile, recipesDirectory: recipes, stateDirectory: state ?? defaultStateDirectory,
            models: models, server: server, compress: compress ?? Compress(memory: nil, timeout: nil),
            logLevel: logLevel ?? .info)
    }

    private static func reportRepeatedNames(_ field: Field) {
        guard case .sequence(let nodes) = field.node.content else { return }
        var lines: [String: Int] = [:]
        for node in nodes {
            guard case .mapping(let entries) = node.content, let name = entries.first(where: { $0.key == "name" }),
                case .scalar(let text, _) = name.value.content
            else { continue }
            if let line = lines.updateValue(name.value.mark.line, forKey: text) {
                field.sink.report(
                    name.value.mark, "the model \(quoted(text)) is there already, on line \(line)",
                    "give each model its own name")
            }
        }
    }
}

extension DaemonSettings.ProfileChoice {
    init?(_ field: Field, _ paths: PathResolver) {
        if case .mapping = field.node.content {
            guard let profile = DeviceProfile(field) else { return nil }
            self = .inline(profile)
        } else {
            guard let path = field.text() else { return nil }
            self = .file(paths.find(fileName(path, in: "profiles")))
        }
    }
}

/// The path of a file that is named by path or, without slash and extension, by name.
func fileName(_ name: String, in directory: String) -> String {
    isPath(name) ? name : PathResolver.join(directory, name + ".yaml")
}

func isPath(_ name: String) -> Bool {
    name.contains("/") || name.hasSuffix(".yaml") || name.hasSuffix(".yml")
}

extension DaemonSettings.Server {
    /// `sun_path` has 108 bytes, the last for the terminating zero.
    private static let maxSocketBytes = 107

    fileprivate init?(_ field: Field, _ paths: PathResolver) {
        let keys = [
            "socket", "group", "mode", "max_request", "max_connections", "request_timeout", "max_sequences",
            "sequence_timeout",
        ]
        guard let fields = field.fields(keys) else { return nil }
        let socket = fields.required("socket") { field -> String? in
            guard let path = field.text().map(paths.beside) else { return nil }
            if path.utf8.count <= Self.maxSocketBytes { return path }
            field.report(
                "the socket's path has \(path.utf8.count) bytes: \(quoted(path))",
                "choose one of at most \(Self.maxSocketBytes) bytes, as Unix sockets require")
            return nil
        }
        let group = fields.optional("group") { $0.groupName() }
        let mode = fields.optional("mode") { $0.permissions() }
        let maxRequest = fields.optional("max_request") { $0.bytes(in: 1024...4_294_967_296) }
        let maxConnections = fields.optional("max_connections") { $0.integer(in: 1...65_536) }
        let requestTimeout = fields.optional("request_timeout") { $0.time(in: 1000...86_400_000_000) }
        let maxSequences = fields.optional("max_sequences") { $0.integer(in: 1...65_536) }
        let sequenceTimeout = fields.optional("sequence_timeout") { $0.time(in: 1000...86_400_000_000) }
        guard let socket else { return nil }
        self.init(
            socket: socket, group: group, mode: mode ?? 0o660, maxRequest: maxRequest ?? 67_108_864,
            maxConnections: maxConnections ?? 64, requestTimeout: requestTimeout,
            maxSequences: maxSequences ?? 64, sequenceTimeout: sequenceTimeout ?? .seconds(60))
    }
}

extension DaemonSettings.Compress {
    fileprivate init?(_ field: Field) {
        guard let fields = field.fields(["memory", "timeout"]) else { return nil }
        self.init(
            memory: fields.optional("memory") { MemoryLimit($0) },
            timeout: fields.optional("timeout") { $0.time(in: 1_000_000...604_800_000_000) })
    }
}

extension Field {
    fileprivate func groupName() -> String? {
        guard let name = name() else { return nil }
        if name.utf8.count <= 32, name.utf8.first.map({ !isDigit($0) && $0 != UInt8(ascii: "-") }) == true {
            return name
        }
        report("'\(key)' cannot be \(quoted(name))", "give the name of a group, at most 32 characters")
        return nil
    }

    /// Octal digits with a leading zero, quoted or not.
    fileprivate func permissions() -> UInt32? {
        if let text = scalar, text.utf8.count == 4, text.hasPrefix("0"), let mode = UInt32(text, radix: 8) {
            return mode
        }
        report(
            "'\(key)' must be four octal digits from \"0000\" to \"0777\", found \(node.summary)",
            "write it as \"0660\"")
        return nil
    }
}
