extension Graph {
    /// The graph in the small form that the runtime lowers: normalisation folded, activations fused, layout changes
    /// cancelled, quantise/dequantise pairs turned into int8 operators. It computes the same but for rounding.
    ///
    /// - Throws: `GraphError` where the graph is not valid.
    package func simplified() throws(GraphError) -> Graph {
        try validate()
        let start = try applying(GraphPatch(for: self))
        // What cannot be folded into a convolution is only decomposed once everything that could be has been.
        let folded = try start.fixedPoint(Graph.passes)
        return try folded.fixedPoint([DecomposeBatchNormalization.self] + Graph.passes)
    }

    private static var passes: [any Rule.Type] {
        [
            // Before others move parts of what these two recognise.
            FoldConstants.self, DropIdentities.self, FuseLayerNormalization.self, FuseGelu.self, MergeReshapes.self,
            MergeTransposes.self, SinkTransposes.self,
            SinkReshapes.self,
            CancelQuantization.self, FuseActivations.self, LowerQuantizedOperators.self, ConvertMatMul.self,
            ScaleBeforeMatMul.self,
            FoldTransposeIntoFullyConnected.self, FoldBatchNormalization.self, FoldConstantArithmetic.self,
            MergePads.self,
            ShareDuplicates.self,
        ]
    }

    /// Most rounds over all passes; a walk carries a change through any chain, so few are ever needed.
    private static let maximumRounds = 12

    private func fixedPoint(_ passes: [any Rule.Type]) throws(GraphError) -> Graph {
        var graph = self
        for _ in 0..<Graph.maximumRounds {
            var changed = false
            for pass in passes {
                let patch = try Sweep.patch(for: graph, pass)
                guard !patch.isEmpty else { continue }
                graph = try graph.applying(patch)
                changed = true
            }
            if !changed { break }
        }
        return graph
    }
}
