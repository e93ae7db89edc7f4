/// How much memory may be used.
package enum MemoryLimit: Sendable, Hashable {
    /// Half of the machine's memory.
    case auto
    case bytes(Int)
    /// Of the machine's memory, above 0 to 100.
    case percent(Double)

    /// - Parameter total: the machine's memory in bytes.
    package func bytes(ofTotal total: Int) -> Int {
        switch self {
        case .auto: total / 2
        case .bytes(let bytes): bytes
        case .percent(let percent): Int(exactly: (Double(total) * percent / 100).rounded(.down)) ?? total
        }
    }
}

extension MemoryLimit {
    static let maxBytes = Double(1 << 50)

    init?(_ field: Field) {
        if field.scalar == "auto" {
            self = .auto
        } else if field.scalar?.hasSuffix("%") == true {
            guard let percent = field.quantity(.percentage, in: 1...100) else { return nil }
            self = .percent(percent)
        } else {
            guard let bytes = field.bytes(in: 65_536...Self.maxBytes) else { return nil }
            self = .bytes(bytes)
        }
    }

    var canonical: CanonicalValue {
        switch self {
        case .auto: .text("auto")
        case .bytes(let bytes): .integer(bytes)
        case .percent(let percent): .real(percent)
        }
    }
}

extension Field {
    func bytes(in range: ClosedRange<Double>) -> Int? {
        quantity(.size, in: range).map { Int($0) }
    }

    /// In whole microseconds, rounded down.
    func time(in range: ClosedRange<Double>) -> Duration? {
        quantity(.time, in: range).map { .microseconds(Int($0)) }
    }
}
