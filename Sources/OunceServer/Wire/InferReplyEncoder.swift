import NIOCore
import OunceGraph

/// The body of an infer reply: JSON, with tensors inside it or in the bytes behind it.
package struct InferReplyEncoder {
    let body: ByteBuffer
    /// Of the JSON, where bytes follow it.
    let jsonLength: Int?

    package init(
        _ reply: InferenceReply, of loaded: ModelVersion, id: String?, format: OutputFormat,
        allocator: ByteBufferAllocator
    ) {
        let binary = reply.outputs.filter { format.isBinary($0.name) }
        let binaryBytes = binary.reduce(0) { $0 + $1.tensor.byteCount }
        let textElements = reply.outputs.reduce(0) { $0 + (format.isBinary($1.name) ? 0 : $1.tensor.count) }
        var writer = JSONWriter(
            allocator.buffer(capacity: 256 + 96 * reply.outputs.count + 12 * textElements + binaryBytes))

        writer.beginObject()
        writer.name("model_name")
        writer.string(loaded.name)
        writer.name("model_version")
        writer.string(loaded.version)
        if let id {
            writer.name("id")
            writer.string(id)
        }
        writer.name("outputs")
        writer.beginArray()
        for (name, tensor) in reply.outputs {
            writer.beginObject()
            writer.name("name")
            writer.string(name)
            writer.name("datatype")
            writer.string(Datatype(tensor.dtype).rawValue)
            writer.name("shape")
            writer.beginArray()
            for dim in tensor.shape.dims { writer.integer(dim) }
            writer.endArray()
            if format.isBinary(name) {
                writer.name("parameters")
                writer.beginObject()
                writer.name("binary_data_size")
                writer.integer(tensor.byteCount)
                writer.endObject()
            } else {
                writer.name("data")
                TensorText.write(tensor, to: &writer)
            }
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()

        var buffer = writer.take()
        jsonLength = binary.isEmpty ? nil : buffer.readableBytes
        for (_, tensor) in binary { buffer.writeBytes(tensor.bytes) }
        body = buffer
    }
}
