extension DeviceProfile {
    /// Which vector instructions may be used.
    package enum SIMD: Sendable, Hashable {
        /// Whatever the CPU has.
        case auto
        /// Kernels of at most `width` bits (nil: any; 0: portable C only) that need no more than `features`
        /// (nil: any).
        case limited(width: Int?, features: Set<Feature>?)

        package enum Feature: String, Sendable, Hashable, CaseIterable {
            case avx2, avxvnni, avx512vnni, avx512popcnt, amx, neon, dotprod, i8mm, rvv
        }

        static let widths = [0, 128, 256, 512]

        /// Names of kernel instruction sets; nil: no limit.
        var allowedISAs: Set<String>? {
            guard case .limited(let width, let features) = self else { return nil }
            let named = features.map { $0.flatMap(\.withPrerequisites) } ?? Feature.allCases
            let fitting = named.filter { $0.width <= width ?? .max }
            return Set(["scalar"] + fitting.map(\.isa))
        }
    }
}

extension DeviceProfile.SIMD.Feature {
    /// Of the kernels that use it, in bits.
    var width: Int {
        switch self {
        case .neon, .dotprod, .i8mm, .rvv: 128
        case .avx2, .avxvnni: 256
        case .avx512vnni, .avx512popcnt, .amx: 512
        }
    }

    var isa: String { self == .dotprod ? "neondot" : rawValue }

    /// A CPU with this feature has these too.
    var withPrerequisites: [Self] {
        switch self {
        case .avx2, .neon, .rvv: [self]
        case .avxvnni, .avx512vnni: [.avx2, self]
        case .avx512popcnt, .amx: [.avx2, .avx512vnni, self]
        case .dotprod: [.neon, self]
        case .i8mm: [.neon, .dotprod, self]
        }
    }
}

extension DeviceProfile.SIMD {
    init?(_ field: Field) {
        if field.scalar == "auto" {
            self = .auto
            return
        }
        guard field.scalar == nil else {
            field.report(
                "'simd' must be auto or a mapping, found \(field.node.summary)",
                "write auto, or {width: 128, features: [neon]}")
            return nil
        }
        guard let fields = field.fields(["width", "features"]) else { return nil }
        let width = fields.optional("width") { field -> Int? in
            guard let width = field.integer(in: 0...512) else { return nil }
            if Self.widths.contains(width) { return width }
            field.report(
                "no kernel is \(width) bits wide", "give \(alternatives(Self.widths.map(String.init))) (0: no SIMD)")
            return nil
        }
        let features = fields.optional("features") { field in
            field.list(count: 0...Feature.allCases.count) { $0.choice(Feature.allCases.map { ($0.rawValue, $0) }) }
        }
        if !fields.has("width"), !fields.has("features") {
            field.report("'simd' says nothing", "give 'width' or 'features', or write auto")
            return nil
        }
        let limited = Self.limited(width: width, features: features.map { Set($0) })
        if let width, width > 0, let features, !features.isEmpty, limited.allowedISAs == ["scalar"] {
            fields.report(
                "features", "no feature of \(alternatives(features.map(\.rawValue))) fits into \(width) bits",
                "raise 'width', or write 'width: 0' for no SIMD")
            return nil
        }
        self = limited
    }
}
