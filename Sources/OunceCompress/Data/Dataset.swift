import OunceFormats
import OunceGraph
import OunceRuntime

/// Samples for a model: one array for each of its inputs, the first axis the samples, and labels where there are any.
package struct Dataset: Sendable {
    package let count: Int
    /// Inputs in one sample: more than one where a sample is a sequence of windows or steps, `[count, windows, …]`.
    package let windows: Int
    /// In the order of the model's inputs; `[count, …]`.
    private let arrays: [Tensor]
    let inputs: [TensorInfo]
    /// The array `labels`, its first axis the samples.
    package let labels: Tensor?
    /// SHA-256 of the file.
    package let hash: String

    /// Reads a `.npz` (arrays named by input, and `labels`) or a `.npy` (a model with one input).
    ///
    /// Where the model has one input and the file one array besides `labels`, its name does not matter.
    /// - Parameters:
    ///   - labelsPath: a `.npy` that replaces `labels`.
    ///   - limit: no more samples than this are used.
    /// - Throws: `.input` for a file that cannot be read, `.data` for one that does not fit.
    package init(
        path: String, inputs: [TensorInfo], labelsPath: String? = nil, limit: Int? = nil
    ) throws(CompressError) {
        self.inputs = inputs
        let file = try CompressError.wrapping(.input) { try MappedFile(path: path) }
        hash = sha256Hex(file.bytes, of: file)
        var named: [(name: String, tensor: Tensor)]
        if path.hasSuffix(".npy") {
            named = [("", try CompressError.wrapping(.input) { try NumPyFile.read(path: path) })]
        } else {
            named = try CompressError.wrapping(.input) { try NumPyArchive.read(path: path) }
        }
        let given = named.first { $0.name == "labels" && !inputs.map(\.name).contains("labels") }?.tensor
        named.removeAll { $0.name == "labels" && !inputs.map(\.name).contains("labels") }
        if let labelsPath {
            labels = try CompressError.wrapping(.input) { try NumPyFile.read(path: labelsPath) }
        } else {
            labels = given
        }
        var found: [Tensor] = []
        for info in inputs {
            let alone = inputs.count == 1 && named.count == 1 ? named.first : nil
            guard let array = named.first(where: { $0.name == info.name }) ?? alone else {
                throw CompressError(
                    .data,
                    "\(path): holds no array named '\(info.name)' for the model's input; it holds "
                        + named.map { "'\($0.name)'" }.joined(separator: ", "))
            }
            found.append(array.tensor)
        }
        let counts = Set(found.map { $0.shape.dims.first ?? 0 } + (labels.map { [$0.shape.dims.first ?? 0] } ?? []))
        guard let samples = counts.first, counts.count == 1, samples > 0 else {
            throw CompressError(
                .data,
                "\(path): the first axis is the samples and must be alike for all arrays and the labels; it is "
                    + counts.sorted().map(String.init).joined(separator: " and "))
        }
        var windows: Set<Int> = []
        for (tensor, info) in zip(found, inputs) {
            let perSample = tensor.count / samples
            let wanted = info.shape.smallest.elementCount ?? 0
            if let steps = Self.windows(tensor.shape, info.shape) {
                windows.insert(steps)
                continue
            }
            windows.insert(1)
            let variable = info.shape.dims.dropFirst().contains { $0 < 0 }
            guard perSample == wanted || variable else {
                throw CompressError(
                    .data,
                    "\(path): a sample for '\(info.name)' has shape "
                        + "\(Shape(Array(tensor.shape.dims.dropFirst()))), the model takes \(info.shape)")
            }
        }
        guard windows.count == 1, let steps = windows.first else {
            throw CompressError(
                .data,
                "\(path): the arrays have "
                    + windows.sorted().map(String.init).joined(separator: " and ")
                    + " inputs in a sample; give as many for each input of the model")
        }
        self.windows = steps
        arrays = found
        count = min(samples, max(1, limit ?? samples))
    }

    /// Samples that are made, not read: one array for each input, `[count, …]` with the input's own batch axis of 1.
    init(made arrays: [Tensor], inputs: [TensorInfo], hash: String) {
        self.inputs = inputs
        self.arrays = arrays
        self.hash = hash
        count = arrays.first?.shape.dims.first ?? 0
        windows = 1
        labels = nil
    }

    /// How many inputs follow each other in each sample of an array: `[samples, steps, …]` with or without the input's own
    /// batch axis of 1; nil where a sample is one input.
    private static func windows(_ array: Shape, _ input: Shape) -> Int? {
        func fits(_ dims: some Collection<Int>, _ wanted: some Collection<Int>) -> Bool {
            dims.count == wanted.count && zip(dims, wanted).allSatisfy { $1 < 0 || $0 == $1 }
        }
        let batch = input.dims.prefix(1).map { $0 < 0 ? 1 : $0 }
        guard array.rank >= 2, array[1] > 0, !fits(array.dims.dropFirst(), batch + input.dims.dropFirst()) else {
            return nil
        }
        let step = array.dims.dropFirst(2)
        if fits(step, batch + input.dims.dropFirst()) { return array[1] }
        return batch == [1] && array.rank > input.rank && fits(step, input.dims.dropFirst()) ? array[1] : nil
    }

    /// The shapes that the samples of a file give to inputs with open extents: the first axis of an array is the samples,
    /// and the model's own first axis, the batch, stays open.
    /// - Parameter isSequential: a sample may have an axis of steps before the input's own.
    static func shapes(path: String, open: [OpenInput], isSequential: Bool = false) throws -> [String: Shape] {
        let named =
            path.hasSuffix(".npy")
            ? [(name: "", tensor: try NumPyFile.read(path: path))] : try NumPyArchive.read(path: path)
        let arrays = named.filter { $0.name != "labels" }
        var shapes: [String: Shape] = [:]
        for input in open {
            let alone = open.count == 1 && arrays.count == 1 ? arrays.first : nil
            guard let array = arrays.first(where: { $0.name == input.name }) ?? alone else { continue }
            let dims = array.tensor.shape.dims
            switch dims.count {
            case input.shape.rank: shapes[input.name] = Shape([input.shape[0]] + dims.dropFirst())
            case input.shape.rank + 1 where isSequential && dims[1] != max(input.shape[0], 1):
                shapes[input.name] = Shape([input.shape[0]] + dims.dropFirst(2))
            case input.shape.rank + 1: shapes[input.name] = Shape(Array(dims.dropFirst()))
            case input.shape.rank + 2 where isSequential: shapes[input.name] = Shape(Array(dims.dropFirst(2)))
            default: continue
            }
        }
        return shapes
    }

    /// One sample, or one window of it, as the model's inputs, converted to its element types where that loses nothing.
    package func sample(_ index: Int, window: Int = 0) throws(CompressError) -> [Tensor] {
        var tensors: [Tensor] = []
        for (array, info) in zip(arrays, inputs) {
            let size = array.byteCount / max(array.shape[0], 1) / windows
            let start = (index * windows + window) * size
            let bytes = UnsafeRawBufferPointer(rebasing: array.bytes[start..<(start + size)])
            // A variable first axis is the batch; other variable axes take the sample's extents.
            var dims = info.shape.dims
            let own = array.shape.dims.dropFirst(windows > 1 ? 2 : 1)
            if own.count == dims.count, own.first == 1 {
                dims = Array(own)
            } else if dims.dropFirst().contains(where: { $0 < 0 }), own.count == dims.count - 1 {
                dims = [1] + own
            } else {
                dims = dims.map { $0 < 0 ? 1 : $0 }
            }
            let storage = TensorStorage(byteCount: bytes.count) { $0.copyMemory(from: bytes) }
            guard let tensor = Tensor(dtype: array.dtype, shape: Shape(dims), storage: storage),
                let converted = Self.converted(tensor, to: info.dtype)
            else {
                throw CompressError(
                    .data,
                    "a sample for '\(info.name)' is \(array.dtype) \(Shape(Array(own))), the model takes "
                        + "\(info.dtype) \(info.shape)")
            }
            tensors.append(converted)
        }
        return tensors
    }

    /// How many samples are also in `other`, whatever their labels.
    package func samplesShared(with other: Dataset) throws(CompressError) -> Int {
        var known: Set<Int> = []
        for index in 0..<other.count { known.insert(try other.fingerprint(index)) }
        var shared = 0
        for index in 0..<count where known.contains(try fingerprint(index)) { shared += 1 }
        return shared
    }

    private func fingerprint(_ index: Int) throws(CompressError) -> Int {
        var hasher = Hasher()
        for window in 0..<windows {
            for tensor in try sample(index, window: window) { tensor.storage.withBytes { hasher.combine(bytes: $0) } }
        }
        return hasher.finalize()
    }

    /// The label of a sample as a class number.
    package func label(_ index: Int) -> Int? {
        guard let labels else { return nil }
        let perSample = labels.count / max(labels.shape[0], 1)
        guard perSample == 1 else { return nil }
        let value = Self.element(labels, index)
        return value.isFinite && abs(value) < 1e9 ? Int(value.rounded()) : nil
    }

    /// The label of a sample as numbers.
    package func target(_ index: Int) -> [Float]? {
        guard let labels else { return nil }
        let perSample = labels.count / max(labels.shape[0], 1)
        return (0..<perSample).map { Float(Self.element(labels, index * perSample + $0)) }
    }

    private static func element(_ tensor: Tensor, _ index: Int) -> Double {
        let size = tensor.dtype.byteSize
        let bytes = UnsafeRawBufferPointer(rebasing: tensor.bytes[(index * size)..<((index + 1) * size)])
        let storage = TensorStorage(byteCount: size) { $0.copyMemory(from: bytes) }
        return Tensor(dtype: tensor.dtype, shape: [1], storage: storage)?.doubles().first ?? .nan
    }

    /// Any number type becomes float32; integers only become an integer type that holds every value.
    private static func converted(_ tensor: Tensor, to dtype: DType) -> Tensor? {
        if tensor.dtype == dtype { return tensor }
        switch dtype {
        case .float32: return Tensor(tensor.floats(), shape: tensor.shape)
        case .int8: return integers(tensor, Int8.self)
        case .uint8: return integers(tensor, UInt8.self)
        case .int32: return integers(tensor, Int32.self)
        case .int64: return integers(tensor, Int64.self)
        default: return nil
        }
    }

    private static func integers<T: TensorElement & FixedWidthInteger>(_ tensor: Tensor, _: T.Type) -> Tensor? {
        guard let values = tensor.integers() else { return nil }
        let exact = values.compactMap { T(exactly: $0) }
        return exact.count == values.count ? Tensor(exact, shape: tensor.shape) : nil
    }
}
