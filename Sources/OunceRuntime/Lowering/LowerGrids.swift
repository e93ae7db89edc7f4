import COunceKernels
import OunceGraph

/// Between floats and grids that no kernel knows: uint8, int16 and uint16.
extension Lowering {
    mutating func lowerQuantizeAs(_ node: Node) throws(RuntimeError) {
        let (x, output) = (graph[try input(node, 0)], graph[node.outputs[0]])
        // int8 between int8 and floats has kernels.
        if output.dtype == .int8, x.dtype == .float32 || x.dtype == .int8 { return try lowerQuantize(node) }
        try emitGridLoop(node)
    }

    mutating func emitGridLoop(_ node: Node) throws(RuntimeError) {
        let id = try input(node, 0)
        let (x, output) = (graph[id], graph[node.outputs[0]])
        guard
            let loop = GridLoop(
                from: (x.dtype, x.encoding.affine), to: (output.dtype, output.encoding.affine),
                count: elementCount(id))
        else {
            throw RuntimeError(.unsupported, "a change from \(x.dtype) to \(output.dtype) between these encodings")
        }
        let source = try operand(id)
        let index = outputOf(node)
        emitGeneric(
            "quantize", loop, inputs: [source], output: index, cost: elementCount(id), node: node.name
        ) { call, _, _ in
            guard let call = call?.pointee, let out = call.out, let x = call.in.0,
                let loop = call.params?.assumingMemoryBound(to: GridLoop.self)
            else { return }
            loop.pointee.run(x, out)
        }
    }
}
