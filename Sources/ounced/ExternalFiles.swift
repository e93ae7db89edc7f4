import Glibc

/// The other files that an ONNX model keeps numbers in, found without reading the model's own numbers.
///
/// A model that is damaged gives what was found before the damage: whoever compresses it says what is wrong with it.
/// Source: onnx.proto (ModelProto 7 and 25, GraphProto 1, 5 and 15, FunctionProto 7, NodeProto 5, AttributeProto 5, 6
/// and 22, SparseTensorProto 1 and 2, TensorProto 13).
struct ExternalFiles {
    private static let maximumFiles = 64
    private static let windowBytes = 1 << 14

    private enum Message {
        case model, graph, function, node, attribute, sparseTensor, tensor, entry

        /// What the field of this number holds, where it may lead to names of files.
        func inner(_ field: UInt64) -> Message? {
            switch (self, field) {
            case (.model, 7), (.attribute, 6): .graph
            case (.model, 25): .function
            case (.graph, 1), (.function, 7): .node
            case (.graph, 15), (.attribute, 22): .sparseTensor
            case (.node, 5): .attribute
            case (.graph, 5), (.attribute, 5), (.sparseTensor, 1), (.sparseTensor, 2): .tensor
            case (.tensor, 13): .entry
            default: nil
            }
        }
    }

    private let descriptor: Int32
    private var window: [UInt8] = []
    private var windowStart = 0
    private var locations: Set<String> = []

    /// Paths relative to the model's folder that do not leave it by their text, sorted.
    static func named(by path: String) -> [String] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return [] }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return [] }
        var files = ExternalFiles(descriptor: descriptor)
        files.read(.model, 0..<Int(status.st_size))
        return files.locations.sorted()
    }

    private init(descriptor: Int32) { self.descriptor = descriptor }

    /// Messages within messages are kept on a list, so that none can be too deep.
    private mutating func read(_ message: Message, _ range: Range<Int>) {
        var open = [(message, range)]
        while let (message, range) = open.popLast() {
            var (place, key, value) = (range.lowerBound, "", "")
            while place < range.upperBound, locations.count < Self.maximumFiles {
                guard let tag = varint(&place, range.upperBound) else { return }
                switch tag & 7 {
                case 0: guard varint(&place, range.upperBound) != nil else { return }
                case 1: place += 8
                case 5: place += 4
                case 2:
                    guard let length = varint(&place, range.upperBound).flatMap({ Int(exactly: $0) }),
                        length <= range.upperBound - place
                    else { return }
                    let content = place..<place + length
                    place += length
                    if message == .entry, length < Int(PATH_MAX) {
                        if tag >> 3 == 1 { key = text(content) }
                        if tag >> 3 == 2 { value = text(content) }
                    } else if let inner = message.inner(tag >> 3) {
                        open.append((inner, content))
                    }
                default: return
                }
            }
            let parts = value.split(separator: "/", omittingEmptySubsequences: false)
            if key == "location", !value.isEmpty, !value.hasPrefix("/"), !parts.contains("..") {
                locations.insert(value)
            }
        }
    }

    private mutating func text(_ range: Range<Int>) -> String {
        var bytes: [UInt8] = []
        for place in range { if let byte = byte(place) { bytes.append(byte) } }
        return String(decoding: bytes, as: UTF8.self)
    }

    private mutating func varint(_ place: inout Int, _ end: Int) -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 64, by: 7) {
            guard place < end, let byte = byte(place) else { return nil }
            place += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        return nil
    }

    private mutating func byte(_ place: Int) -> UInt8? {
        if !(windowStart..<windowStart + window.count).contains(place) {
            var bytes = [UInt8](repeating: 0, count: Self.windowBytes)
            let count = bytes.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, off_t(place)) }
            guard count > 0 else { return nil }
            window = Array(bytes[..<count])
            windowStart = place
        }
        return window[place - windowStart]
    }
}
