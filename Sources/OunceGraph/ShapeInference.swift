extension Graph {
    /// The type of the one output of `op`. `encoding` is the output's; its being affine makes quantise and int8 outputs.
    package func inferType(
        of op: Op, inputs: [Value?], node: String, encoding: Encoding
    ) throws(GraphError) -> TensorType {
        throw GraphError(.invalidType, at: node, "not known")
    }
}
