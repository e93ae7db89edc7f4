import FoundationEssentials
import OunceCompress

/// One JSON document on stdout, keys sorted and in snake_case.
enum JSONOutput {
    static func write(_ value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        print(String(decoding: try encoder.encode(value), as: UTF8.self))
    }
}

/// Numbers as people read them.
enum Text {
    static func number(_ value: Double, _ decimals: Int) -> String { Compressor.text(value, decimals) }

    static func bytes(_ count: Int) -> String {
        switch count {
        case ..<1024: "\(count) B"
        case ..<(1 << 20): number(Double(count) / 1024, 1) + " KiB"
        case ..<(1 << 30): number(Double(count) / Double(1 << 20), 2) + " MiB"
        default: number(Double(count) / Double(1 << 30), 2) + " GiB"
        }
    }

    static func milliseconds(_ value: Double) -> String { number(value, value < 1 ? 4 : value < 100 ? 3 : 1) + " ms" }

    static func count(_ value: Int) -> String {
        switch value {
        case ..<10_000: "\(value)"
        case ..<10_000_000: number(Double(value) / 1e3, 1) + " k"
        default: number(Double(value) / 1e6, 1) + " M"
        }
    }

    static func accuracy(_ metric: Metric?, _ value: Double) -> String {
        metric == .mse ? number(value, 6) : metric == .auc ? number(value, 4) : number(value * 100, 2) + " %"
    }
}
