import Crypto
import OunceRuntime

enum ArtifactFuzzing {
    private static let headerSize = 64

    static func open(_ bytes: [UInt8]) {
        let file = MemoryFile(repaired(bytes))
        guard let artifact = try? Artifact.open(path: file.path) else { return }
        guard ModelFuzzing.isSmall(artifact.graph, unknown: 1),
            let model = try? Model(graph: artifact.graph, options: ModelFuzzing.options)
        else { return }
        let checked = artifact.selfChecks.prefix(2).filter { $0.inputs.reduce(0) { $0 + $1.count } < 1 << 16 }
        try? model.verify(checked)
        ModelFuzzing.run(artifact.graph)
        _ = try? artifact.encoded()
    }

    /// The bytes with size and checksum as the header must say them; else nothing that is changed would be read.
    private static func repaired(_ bytes: [UInt8]) -> [UInt8] {
        guard bytes.count >= headerSize else { return bytes }
        var bytes = bytes
        let digest = Array(SHA256.hash(data: bytes[headerSize...]))
        bytes.replaceSubrange(16..<24, with: withUnsafeBytes(of: UInt64(bytes.count).littleEndian) { Array($0) })
        bytes.replaceSubrange(24..<56, with: digest)
        return bytes
    }
}
