/// Protocol buffers and ONNX models by hand: what the tests of the reader feed it.
enum Wire {
    static func varint(_ value: UInt64) -> [UInt8] {
        var (rest, bytes) = (value, [UInt8]())
        while rest >= 0x80 {
            bytes.append(UInt8(rest & 0x7F) | 0x80)
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }

    static func int(_ number: Int, _ value: Int) -> [UInt8] {
        varint(UInt64(number) << 3) + varint(UInt64(bitPattern: Int64(value)))
    }

    static func bytes(_ number: Int, _ content: [UInt8]) -> [UInt8] {
        varint(UInt64(number) << 3 | 2) + varint(UInt64(content.count)) + content
    }

    static func text(_ number: Int, _ text: String) -> [UInt8] { bytes(number, Array(text.utf8)) }

    static func floats(_ values: [Float]) -> [UInt8] {
        values.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> ($0 * 8)) } }
    }

    // MARK: ONNX

    static func tensor(_ name: String, dims: [Int], type: Int = 1, _ content: [UInt8]) -> [UInt8] {
        dims.flatMap { int(1, $0) } + int(2, type) + text(8, name) + content
    }

    static func node(
        _ op: String, _ inputs: [String], _ outputs: [String], domain: String = "", attributes: [[UInt8]] = []
    ) -> [UInt8] {
        inputs.flatMap { text(1, $0) } + outputs.flatMap { text(2, $0) } + text(4, op) + text(7, domain)
            + attributes.flatMap { bytes(5, $0) }
    }

    static func value(_ name: String, _ dims: [Int], type: Int = 1) -> [UInt8] {
        let shape = dims.flatMap { $0 < 0 ? bytes(1, text(2, "rows")) : bytes(1, int(1, $0)) }
        return text(1, name) + bytes(2, bytes(1, int(1, type) + bytes(2, shape)))
    }

    /// With an input `x` and an output `y`.
    static func model(
        _ nodes: [[UInt8]], initializers: [[UInt8]] = [], input: [UInt8] = value("x", [-1, 4]),
        output: [UInt8] = value("y", [-1, 4]), more: [UInt8] = [], inGraph: [UInt8] = []
    ) -> [UInt8] {
        let graph =
            nodes.flatMap { bytes(1, $0) } + initializers.flatMap { bytes(5, $0) } + bytes(11, input)
            + bytes(12, output) + inGraph
        return int(1, 8) + bytes(7, graph) + bytes(8, int(2, 17)) + more
    }

    static func function(
        _ name: String, inputs: [String], outputs: [String], nodes: [[UInt8]], attributes: [String] = [],
        defaults: [[UInt8]] = []
    ) -> [UInt8] {
        text(1, name) + inputs.flatMap { text(4, $0) } + outputs.flatMap { text(5, $0) }
            + attributes.flatMap { text(6, $0) } + nodes.flatMap { bytes(7, $0) } + bytes(9, int(2, 17))
            + text(10, "own") + defaults.flatMap { bytes(11, $0) }
    }
}
