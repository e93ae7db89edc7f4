import OunceGraph

/// A node of an ONNX model with checked access to its attributes; remembers which of them were looked at.
struct ONNXNode {
    /// Sizes and paddings of windows may not be larger.
    static let maximumSize = 1 << 20

    let proto: ONNXNodeProto
    private let attributes: [String: ONNXAttributeProto]
    private var used: Set<String> = []

    init(_ proto: ONNXNodeProto) {
        self.proto = proto
        attributes = Dictionary(proto.attribute.map { ($0.name, $0) }) { first, _ in first }
    }

    /// The operator, with its domain where that is not the standard one.
    var op: String { isStandard ? proto.opType : "\(proto.domain).\(proto.opType)" }
    var isStandard: Bool { proto.domain.isEmpty || proto.domain == "ai.onnx" }
    /// The first output that is wanted.
    var output: String { proto.output.first { !$0.isEmpty } ?? "" }
    var name: String { proto.name.isEmpty ? output : proto.name }

    /// The name of an input; nil where it is not given.
    func input(_ index: Int) -> String? {
        index < proto.input.count && !proto.input[index].isEmpty ? proto.input[index] : nil
    }

    mutating func attribute(_ name: String) -> ONNXAttributeProto? {
        used.insert(name)
        return attributes[name]
    }

    /// Marks attributes that do not change the result.
    mutating func ignore(_ names: String...) { used.formUnion(names) }

    /// The attributes that nothing looked at.
    var unknownAttributes: [String] { attributes.keys.filter { !used.contains($0) }.sorted() }

    mutating func int(_ name: String, default value: Int) -> Int { attribute(name).map { Int($0.i) } ?? value }
    mutating func float(_ name: String, default value: Float) -> Float { attribute(name)?.f ?? value }
    mutating func ints(_ name: String) -> [Int]? { attribute(name)?.ints.map { Int($0) } }
    mutating func string(_ name: String, default value: String) -> String {
        attribute(name).map { String(decoding: $0.s, as: UTF8.self) } ?? value
    }

    /// `count` sizes from `minimum` on; `value` for each where the attribute is absent.
    mutating func sizes(
        _ name: String, count: Int, default value: Int, minimum: Int
    ) throws(ImportFailure) -> [Int] {
        let sizes = ints(name) ?? [Int](repeating: value, count: count)
        guard sizes.count == count, sizes.allSatisfy({ (minimum...Self.maximumSize).contains($0) }) else {
            throw .unsupported("\(name) is \(sizes.prefix(8)); \(count) numbers from \(minimum) on are wanted")
        }
        return sizes
    }

    /// Fails unless the attribute has the one value that is supported.
    mutating func require(_ name: String, _ value: Int, default absent: Int = 0) throws(ImportFailure) {
        let given = int(name, default: absent)
        guard given == value else { throw .unsupported("\(name) = \(given); only \(value) is supported") }
    }
}
