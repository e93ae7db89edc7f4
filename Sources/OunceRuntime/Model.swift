import OunceGraph

/// Name, element type and extents of an input or output as a client sees it; -1 is a variable extent.
package struct TensorInfo: Sendable, Hashable {
    package var name: String
    package var dtype: DType
    package var shape: Shape

    package init(name: String, dtype: DType, shape: Shape) {
        self.name = name
        self.dtype = dtype
        self.shape = shape
    }
}

/// What of the device a model may use.
package struct RuntimeOptions: Sendable, Hashable {
    /// Names of the instruction sets whose kernels may run; nil is whatever the CPU has. "scalar" always may.
    package var allowedISAs: Set<String>?
    package var threads: Int
    /// Most bytes that weights, plans and arenas may take together; nil is no limit.
    package var memoryLimit: Int?

    package init(allowedISAs: Set<String>? = nil, threads: Int = 1, memoryLimit: Int? = nil) {
        self.allowedISAs = allowedISAs
        self.threads = threads
        self.memoryLimit = memoryLimit
    }
}

/// A model ready to run: kernels chosen, weights packed. Safe to call from several threads at once.
package final class Model: Sendable {
    package let name: String
    package let inputs: [TensorInfo]
    package let outputs: [TensorInfo]

    /// Prepares `graph` for this device: lowers it, chooses kernels, packs weights.
    ///
    /// - Throws: `.unsupported` naming every operator that no kernel can run, `.memory` where the limit does not suffice.
    package init(graph: Graph, options: RuntimeOptions) throws(RuntimeError) {
        throw RuntimeError(.unsupported, "models cannot be prepared yet")
    }

    /// Bytes that weights, plans and arenas take now.
    package var memoryBytes: Int { 0 }

    /// One inference.
    ///
    /// - Parameter tensors: in the order of `inputs`, each of its type and of a shape that fits.
    /// - Returns: in the order of `outputs`.
    /// - Throws: `.invalidInput` naming the input that does not fit; `.memory` where a plan for these shapes does not fit.
    package func run(_ tensors: [Tensor]) throws(RuntimeError) -> [Tensor] {
        throw RuntimeError(.unsupported, "models cannot be run yet")
    }

    /// Replays the self-checks of `artifact`.
    ///
    /// - Throws: `.selfCheck` where an output differs in a single bit.
    package func verify(_ checks: [SelfCheck]) throws(RuntimeError) {}
}
