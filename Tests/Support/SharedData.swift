import FoundationEssentials
import OunceFormats
import OunceGraph

/// The shared models and data, with the manifest that says how they go together.
package struct SharedData: Sendable {
    package struct Entry: Decodable, Sendable {
        package struct Input: Decodable, Sendable {
            package let name: String
            package let shape: [Int]
        }
        package struct Preprocessing: Decodable, Sendable {
            let scale: Float
            let mean: [Float]
            let std: [Float]
            /// Axes of a row, without that of the samples.
            let transpose: [Int]?
        }
        package struct Split: Decodable, Sendable {
            let x: String
            let y: String
            /// Start, end and step.
            let rows: [Int]?
        }
        package struct Splits: Decodable, Sendable {
            package let train: Split?
            package let calib: Split?
            package let dev: Split?
        }
        package let id: String
        package let path: String
        package let inputs: [Input]
        package let preprocessing: Preprocessing
        package let data: Splits?
    }

    private struct Manifest: Decodable { let models: [Entry] }

    package let folder: String
    private let entries: [Entry]

    /// The folder that OUNCE_SHARED_DATA names, else `../shared/data` beside the package; nil, with a notice, where there is
    /// none.
    package static func found() throws -> SharedData? {
        let package = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let folder =
            ProcessInfo.processInfo.environment["OUNCE_SHARED_DATA"]
            ?? package.deletingLastPathComponent().appending(path: "shared/data").path
        guard FileManager.default.fileExists(atPath: folder + "/manifest.json") else {
            print("skipped: no shared data at \(folder); set OUNCE_SHARED_DATA")
            return nil
        }
        let bytes = try Data(contentsOf: URL(filePath: folder + "/manifest.json"))
        return SharedData(folder: folder, entries: try JSONDecoder().decode(Manifest.self, from: bytes).models)
    }

    package func entry(_ id: String) throws -> Entry {
        guard let entry = entries.first(where: { $0.id == id }) else {
            throw Interpreter.Failure("the manifest has no model \(id)")
        }
        return entry
    }

    package func path(of entry: Entry) -> String { folder + "/" + entry.path }

    /// A `.npz` with the split's rows, prepared for the float input of the model, and their `labels`.
    package func archive(_ split: Entry.Split?, of entry: Entry) throws -> TemporaryFile {
        guard let split else { throw Interpreter.Failure("\(entry.id) has no such data") }
        let x = try NumPyFile.read(path: folder + "/" + split.x)
        let y = try NumPyFile.read(path: folder + "/" + split.y)
        let bounds = split.rows ?? [0, x.shape[0], 1]
        let rows = Array(stride(from: bounds[0], to: bounds[1], by: bounds[2]))
        let perRow = x.count / x.shape[0]
        let source = x.floats()
        let labels = y.floats()
        let rule = entry.preprocessing
        let order = places(Array(x.shape.dims.dropFirst()), rule.transpose)
        let channels = rule.mean.count
        var numbers: [Float] = []
        numbers.reserveCapacity(rows.count * perRow)
        for row in rows {
            for place in order {
                let channel = place % channels
                let scaled = source[row * perRow + place] * rule.scale
                numbers.append((scaled - rule.mean[channel]) / rule.std[channel])
            }
        }
        guard let tensor = Tensor(numbers, shape: Shape([rows.count] + entry.inputs[0].shape.dropFirst())) else {
            throw Interpreter.Failure("\(entry.id): rows of \(x.shape) do not fit the input")
        }
        let arrays = [(entry.inputs[0].name, tensor), ("labels", Tensor(rows.map { labels[$0] }))]
        return try TemporaryFile(try NumPyArchive.serialize(arrays), name: "\(entry.id).npz")
    }

    /// Where in a row of these extents each element of the transposed row lies.
    private func places(_ extents: [Int], _ transpose: [Int]?) -> [Int] {
        let permutation = transpose ?? Array(extents.indices)
        let strides = Shape(extents).strides
        var places: [Int] = []
        NDArray.forEachIndex(of: permutation.map { extents[$0] }) { index in
            places.append(zip(index, permutation).reduce(0) { $0 + $1.0 * strides[$1.1] })
        }
        return places
    }
}
