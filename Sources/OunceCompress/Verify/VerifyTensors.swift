import OunceFormats
import OunceGraph

/// Inputs or expected outputs of a model.
package enum VerifyTensors: Sendable {
    /// In the order in which the model declares them.
    case ordered([Tensor])
    case named([(name: String, tensor: Tensor)])

    /// Reads `.npy` files in order, `.npz` archives with arrays by name, and `NAME=FILE.npy`. An archive as `numpy.savez`
    /// writes it without names (`arr_0`, `arr_1`, …) is in order.
    ///
    /// - Throws: `.input` for a file that cannot be read, `.data` where names and order are mixed or a name stands twice.
    package init(files: [String]) throws(CompressError) {
        var (ordered, named): ([Tensor], [(name: String, tensor: Tensor)]) = ([], [])
        for file in files {
            let parts = file.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if file.hasSuffix(".npz") {
                let arrays = try CompressError.wrapping(.input) { try NumPyArchive.read(path: file) }
                if arrays.allSatisfy({ $0.name.hasPrefix("arr_") }) {
                    for index in arrays.indices {
                        if let array = arrays.first(where: { $0.name == "arr_\(index)" }) {
                            ordered.append(array.tensor)
                        }
                    }
                } else {
                    named += arrays
                }
            } else if parts.count == 2, !parts[0].isEmpty, !parts[0].contains("/") {
                let path = String(parts[1])
                named.append((String(parts[0]), try CompressError.wrapping(.input) { try NumPyFile.read(path: path) }))
            } else {
                ordered.append(try CompressError.wrapping(.input) { try NumPyFile.read(path: file) })
            }
        }
        guard ordered.isEmpty || named.isEmpty else {
            throw CompressError(.data, "give all arrays by name (.npz, NAME=FILE.npy) or all in order (.npy), not both")
        }
        guard Set(named.map(\.name)).count == named.count else {
            throw CompressError(.data, "two arrays have the same name: \(named.map(\.name).joined(separator: ", "))")
        }
        self = named.isEmpty ? .ordered(ordered) : .named(named)
    }

    /// The tensor of that name, or at that place among the declared ones.
    func tensor(_ name: String, at place: Int?) -> Tensor? {
        switch self {
        case .ordered(let list): place.flatMap { list.indices.contains($0) ? list[$0] : nil }
        case .named(let list): list.first { $0.name == name }?.tensor
        }
    }
}
