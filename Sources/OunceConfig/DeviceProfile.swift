/// What a board has, and how much of it Ounce may use.
package struct DeviceProfile: Sendable, Hashable {
    package enum Cores: Sendable, Hashable {
        /// All that are online.
        case auto
        case count(Int)
        /// The ids of the CPUs to run on, ascending.
        case cpus([Int])
    }

    /// A power meter of the board.
    package enum Sensor: Sendable, Hashable {
        case auto
        case none
        /// A file that holds microwatts (`hwmon*/power*_input`) or microjoules (`energy_uj`).
        case path(String)
    }

    /// In watts, for the whole board.
    package struct Power: Sendable, Hashable {
        /// What the board may draw.
        package let budget: Double
        /// What it draws with nothing to do.
        package let idle: Double
        /// What each busy core adds.
        package let perCore: Double
        package let sensor: Sensor

        package init(budget: Double, idle: Double, perCore: Double, sensor: Sensor = .auto) {
            self.budget = budget
            self.idle = idle
            self.perCore = perCore
            self.sensor = sensor
        }
    }

    package let name: String
    package let cores: Cores
    package let memory: MemoryLimit
    package let simd: SIMD
    package let power: Power?
    /// For people; not part of the hash.
    package let notes: [String]

    /// By default a profile that limits nothing but memory, for any machine.
    package init(
        name: String = "auto", cores: Cores = .auto, memory: MemoryLimit = .auto, simd: SIMD = .auto,
        power: Power? = nil, notes: [String] = []
    ) {
        self.name = name
        self.cores = cores
        self.memory = memory
        self.simd = simd
        self.power = power
        self.notes = notes
    }

    /// The instruction sets whose kernels may run; nil: no limit.
    package var allowedISAs: Set<String>? { simd.allowedISAs }

    /// Whether it lists the CPUs to run on, rather than how many.
    package var namesCPUs: Bool { if case .cpus = cores { true } else { false } }

    /// Estimated draw of the board with `threads` busy cores; nil where the profile says nothing of power.
    package func watts(threads: Int) -> Double? {
        power.map { $0.idle + $0.perCore * Double(threads) }
    }

    /// How many threads cores and power budget allow, at least 1.
    ///
    /// - Parameter onlineCPUs: what the machine has now.
    package func maxThreads(onlineCPUs: Int) -> Int {
        let byCores =
            switch cores {
            case .auto: onlineCPUs
            case .count(let count): min(count, onlineCPUs)
            case .cpus(let ids): min(ids.count, onlineCPUs)
            }
        guard let power, power.perCore > 0 else { return max(1, byCores) }
        // A budget of exactly n cores must not lose one to rounding.
        let byPower = ((power.budget - power.idle) / power.perCore + 1e-9).rounded(.down)
        return max(1, min(byCores, Int(max(1, min(byPower, 1e6)))))
    }

    /// Even one busy core draws more than the budget; `maxThreads` is 1 all the same.
    package var oneThreadExceedsBudget: Bool {
        guard let power else { return false }
        return power.idle + power.perCore > power.budget + 1e-9
    }

    /// SHA-256 over the meaning, not the text.
    package var canonicalHash: String { canonical.hash(kind: "profile") }

    var canonical: CanonicalValue {
        let coreValue: CanonicalValue =
            switch cores {
            case .auto: .text("auto")
            case .count(let count): .integer(count)
            case .cpus(let ids): .list(ids.map { .integer($0) })
            }
        let powerValue = CanonicalValue.optional(power) { power in
            let sensor: CanonicalValue =
                switch power.sensor {
                case .auto: .bool(true)
                case .none: .bool(false)
                case .path(let path): .text(path)
                }
            return .map([
                "budget": .real(power.budget), "idle": .real(power.idle), "per_core": .real(power.perCore),
                "sensor": sensor,
            ])
        }
        return .map([
            "name": .text(name), "cores": coreValue, "memory": memory.canonical,
            "simd": .optional(allowedISAs) { .texts($0.sorted()) }, "power": powerValue,
        ])
    }
}
