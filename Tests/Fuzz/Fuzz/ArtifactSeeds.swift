import Glibc
import OunceFormats
import OunceFuzzTargets
import OunceGraph
import OunceRuntime

/// Small artifacts to start from, made from models, as the format is Ounce's own.
enum ArtifactSeeds {
    private static let maximumBytes = 8192

    /// Returns 0 where both folders can be read and written.
    static func write(from source: String, to target: String) -> Int32 {
        guard let folder = opendir(source) else { return 1 }
        defer { closedir(folder) }
        var count = 0
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard let bytes = artifact(ofModelAt: source + "/" + name) else { continue }
            let file = open(target + "/" + name, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
            defer { close(file) }
            guard bytes.withUnsafeBytes({ Glibc.write(file, $0.baseAddress, $0.count) }) == bytes.count else {
                return 1
            }
            count += 1
        }
        print("\(count) seeds for artifact")
        return 0
    }

    /// nil where there is no model, or its artifact is not small.
    private static func artifact(ofModelAt path: String) -> [UInt8]? {
        guard let graph = try? ModelFile.load(path: path).simplified(), ModelFuzzing.isSmall(graph, unknown: 1),
            let model = try? Model(graph: graph, options: ModelFuzzing.options),
            let inputs = ModelFuzzing.zeros(model, 1),
            let outputs = try? model.run(inputs)
        else { return nil }
        let provenance = Provenance(
            ounceVersion: "0", modelName: "m", modelHash: "0", profileName: "p", profileHash: "0", recipeName: "r",
            recipeHash: "0", calibrationHash: nil, validationHash: nil)
        let artifact = Artifact(
            graph: graph, provenance: provenance, report: nil, selfChecks: [SelfCheck(inputs: inputs, outputs: outputs)]
        )
        return (try? artifact.encoded()).flatMap { $0.count <= maximumBytes ? $0 : nil }
    }
}
