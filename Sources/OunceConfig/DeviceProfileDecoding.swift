extension DeviceProfile {
    static let keys = ["name", "cores", "memory", "simd", "power", "notes"]

    /// nil when something is wrong; it is reported then.
    init?(_ field: Field) {
        guard let fields = field.fields(Self.keys) else { return nil }
        let name = fields.required("name") { $0.name() }
        let cores = fields.required("cores") { Cores($0) }
        let memory = fields.required("memory") { MemoryLimit($0) }
        let simd = fields.required("simd") { SIMD($0) }
        let power = fields.optional("power") { Power($0) }
        let notes = fields.optional("notes") { $0.list(count: 0...100) { $0.text() } }
        guard let name, let cores, let memory, let simd else { return nil }
        self.init(name: name, cores: cores, memory: memory, simd: simd, power: power, notes: notes ?? [])
    }
}

extension DeviceProfile.Cores {
    static let maxCount = 1024

    fileprivate init?(_ field: Field) {
        if field.scalar == "auto" {
            self = .auto
        } else if case .sequence = field.node.content {
            guard let ids = field.list(count: 1...Self.maxCount, { $0.integer(in: 0...Self.maxCount - 1) }) else {
                return nil
            }
            guard Set(ids).count == ids.count else {
                field.report("'cores' names a CPU twice", "name each CPU once")
                return nil
            }
            self = .cpus(ids.sorted())
        } else if case .scalar(let text, plain: true) = field.node.content, case .integer = PlainScalar(text) {
            guard let count = field.integer(in: 1...Self.maxCount) else { return nil }
            self = .count(count)
        } else {
            field.report(
                "'cores' must be auto, a count or a list of CPU ids, found \(field.node.summary)",
                "write auto, 4 or [4, 5, 6, 7]")
            return nil
        }
    }
}

extension DeviceProfile.Power {
    fileprivate init?(_ field: Field) {
        guard let fields = field.fields(["budget", "idle", "per_core", "sensor"]) else { return nil }
        let budget = fields.required("budget") { $0.quantity(.power, in: 0.001...10_000) }
        let idle = fields.required("idle") { $0.quantity(.power, in: 0...10_000) }
        let perCore = fields.required("per_core") { $0.quantity(.power, in: 0...1000) }
        let sensor = fields.optional("sensor") { DeviceProfile.Sensor($0) }
        guard let budget, let idle, let perCore else { return nil }
        self.init(budget: budget, idle: idle, perCore: perCore, sensor: sensor ?? .auto)
    }
}

extension DeviceProfile.Sensor {
    fileprivate init?(_ field: Field) {
        switch field.scalar {
        case "auto": self = .auto
        case "none": self = .none
        default:
            guard let path = field.text() else { return nil }
            guard path.hasPrefix("/") else {
                field.report(
                    "'sensor' cannot be \(quoted(path))", "write auto, none, or the absolute path of a sysfs file")
                return nil
            }
            self = .path(path)
        }
    }
}

extension Field {
    /// A name that is safe in paths, URLs and logs.
    func name() -> String? {
        guard let text = text(maxBytes: 128) else { return nil }
        let allowed = text.utf8.allSatisfy { byte in
            isDigit(byte) || (byte | 0x20 >= UInt8(ascii: "a") && byte | 0x20 <= UInt8(ascii: "z"))
                || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
        }
        guard allowed, text != ".", text != ".." else {
            report("'\(key)' cannot be \(quoted(text))", "use letters, digits, '.', '_' and '-' only")
            return nil
        }
        return text
    }
}
