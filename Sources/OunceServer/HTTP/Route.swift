/// What a path stands for.
enum Route: Equatable {
    case live
    case ready
    case serverMetadata
    case modelMetadata(String, version: String?)
    case modelReady(String, version: String?)
    case infer(String, version: String?)
    /// nil: of all models.
    case statistics(String?, version: String?)
    case repositoryIndex
    case status
    case reload

    var isPost: Bool {
        switch self {
        case .infer, .repositoryIndex, .reload: true
        default: false
        }
    }

    /// - Parameter uri: path and query, as it stands in the request.
    /// - Throws: `.notFound`, or `.invalid` where the path is not properly encoded.
    init(uri: String) throws(ServiceError) {
        let path = uri.utf8.prefix { $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") }
        var parts: [String] = []
        for part in path.split(separator: UInt8(ascii: "/")) {
            guard let decoded = Self.percentDecoded(part) else {
                throw ServiceError(.invalid, "the path '\(excerpt(uri))' is not properly percent-encoded UTF-8")
            }
            parts.append(decoded)
            guard parts.count <= 8 else { break }
        }
        guard path.first == UInt8(ascii: "/"), parts.first == "v2", let route = Route(Array(parts.dropFirst())) else {
            throw ServiceError(.notFound, "there is nothing at '\(excerpt(uri))'; GET /v2 tells what is served")
        }
        self = route
    }

    private init?(_ parts: [String]) {
        switch parts {
        case []: self = .serverMetadata
        case ["health", "live"]: self = .live
        case ["health", "ready"]: self = .ready
        case ["models", "stats"]: self = .statistics(nil, version: nil)
        case ["repository", "index"]: self = .repositoryIndex
        case ["ounce", "status"]: self = .status
        case ["ounce", "reload"]: self = .reload
        default:
            guard parts.count >= 2, parts[0] == "models" else { return nil }
            var rest = parts[2...]
            var version: String?
            if rest.count >= 2, rest.first == "versions" {
                version = rest[rest.startIndex + 1]
                rest = rest.dropFirst(2)
            }
            switch (rest.first, rest.count) {
            case (nil, _): self = .modelMetadata(parts[1], version: version)
            case ("ready", 1): self = .modelReady(parts[1], version: version)
            case ("infer", 1): self = .infer(parts[1], version: version)
            case ("stats", 1): self = .statistics(parts[1], version: version)
            default: return nil
            }
        }
    }

    /// nil for a broken escape, for a zero byte, and for what is not UTF-8.
    private static func percentDecoded(_ text: Substring.UTF8View.SubSequence) -> String? {
        guard text.contains(UInt8(ascii: "%")) else { return String(Substring(text)) }
        var bytes: [UInt8] = []
        var rest = text
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(hexadecimal), let low = rest.popFirst().flatMap(hexadecimal),
                high << 4 | low != 0
            else { return nil }
            bytes.append(high << 4 | low)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func hexadecimal(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
