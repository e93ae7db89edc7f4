import OunceGraph

/// A compressed model as a file: portable (no machine-specific packing), versioned, checksummed and mapped, not read.
package struct Artifact: Sendable {
    package var graph: Graph
    package var provenance: Provenance
    package var report: Report?
    /// Inputs with the outputs that they must give, bit for bit, on every device.
    package var selfChecks: [SelfCheck]

    package init(graph: Graph, provenance: Provenance, report: Report?, selfChecks: [SelfCheck]) {
        self.graph = graph
        self.provenance = provenance
        self.report = report
        self.selfChecks = selfChecks
    }
}

/// One self-check vector: tensors in the order of the model's inputs and outputs.
package struct SelfCheck: Sendable {
    package var inputs: [Tensor]
    package var outputs: [Tensor]

    package init(inputs: [Tensor], outputs: [Tensor]) {
        self.inputs = inputs
        self.outputs = outputs
    }
}

extension Artifact {
    /// Maps the file and checks header, checksum, structure and graph; the weights stay in the map.
    ///
    /// - Throws: `.io` where it cannot be opened, `.corrupt` with what is wrong where it is no sound artifact.
    package static func open(path: String) throws(RuntimeError) -> Artifact {
        throw RuntimeError(.unsupported, "artifacts cannot be opened yet")
    }
}
