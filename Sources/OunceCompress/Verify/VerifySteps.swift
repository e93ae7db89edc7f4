import OunceGraph
import OunceRuntime

/// The consecutive steps of a stream: arrays that have one axis more, the first, than a model with states takes.
struct VerifySteps {
    let count: Int
    private let tensors: [Tensor]
    private let infos: [TensorInfo]

    /// nil where the arrays are one step.
    init?(_ tensors: [Tensor], for model: Model) {
        guard !model.states.isEmpty, let first = tensors.first, tensors.count == model.inputs.count,
            zip(tensors, model.inputs).allSatisfy({
                $0.shape.rank == $1.shape.rank + 1 && $0.shape[0] == first.shape[0]
            })
        else { return nil }
        count = first.shape[0]
        self.tensors = tensors
        infos = model.inputs
    }

    func inputs(_ step: Int) throws(CompressError) -> [Tensor] {
        var inputs: [Tensor] = []
        for (tensor, info) in zip(tensors, infos) { inputs.append(try slice(step, of: tensor, like: info)) }
        return inputs
    }

    /// Row `step` of an array.
    func slice(_ step: Int, of tensor: Tensor, like info: TensorInfo) throws(CompressError) -> Tensor {
        guard tensor.shape.rank == info.shape.rank + 1, step < tensor.shape[0] else {
            throw CompressError(
                .data, "the array for \(info.name) is \(tensor.shape), which has no step \(step) of \(info.shape)")
        }
        let size = tensor.byteCount / tensor.shape[0]
        let bytes = UnsafeRawBufferPointer(rebasing: tensor.bytes[(step * size)..<((step + 1) * size)])
        let storage = TensorStorage(byteCount: size) { $0.copyMemory(from: bytes) }
        guard
            let slice = Tensor(
                dtype: tensor.dtype, shape: Shape(Array(tensor.shape.dims.dropFirst())), storage: storage)
        else { throw CompressError(.data, "the array for \(info.name) is \(tensor.shape)") }
        return slice
    }
}
