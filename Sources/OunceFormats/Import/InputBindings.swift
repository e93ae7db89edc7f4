import OunceGraph

/// What is known of a model's inputs before it is read, by name: extents that the model leaves open, and inputs that get
/// a fixed value and so are constants, not inputs.
package struct InputBindings: Sendable {
    /// Extents of -1 stay open.
    package var shapes: [String: Shape] = [:]
    /// Numbers of any type; a single one fills the input.
    package var values: [String: Tensor] = [:]
    /// Outputs that are inputs of the next run.
    package var states: [(input: String, output: String)] = []

    package init(
        shapes: [String: Shape] = [:], values: [String: Tensor] = [:], states: [(input: String, output: String)] = []
    ) {
        self.shapes = shapes
        self.values = values
        self.states = states
    }

    /// Names that are bound and that no input of the model has.
    func unknownNames(among inputs: [String]) -> [String] {
        (Set(shapes.keys).union(values.keys)).subtracting(inputs).sorted()
    }

    /// The declared shape with what is given for it.
    ///
    /// - Throws: where the shape that is given does not fit the declared one.
    func shape(of name: String, declared: Shape) throws(ImportFailure) -> Shape {
        guard let given = shapes[name] else { return declared }
        let fits =
            given.rank == declared.rank && given.isBounded
            && zip(given.dims, declared.dims).allSatisfy { $0 < 0 || $1 < 0 || $0 == $1 }
        guard fits else {
            throw .fatal(
                FormatError(.invalidArgument, "it has the shape \(declared) in the model, which \(given) does not fit"))
        }
        return Shape(zip(given.dims, declared.dims).map { $0 < 0 ? $1 : $0 })
    }

    /// The numbers given for an input, as the type and shape that it has.
    func value(of name: String, _ dtype: DType, _ declared: Shape) throws(ImportFailure) -> Tensor? {
        guard let given = values[name] else { return nil }
        let shape = given.count == 1 ? Shape(declared.dims.map { $0 < 0 ? 1 : $0 }) : given.shape
        guard let count = shape.elementCount, count <= 1 << 20 else {
            throw .fatal(FormatError(.invalidArgument, "one number cannot fill \(shape)"))
        }
        if given.count == count, given.dtype == dtype, let same = given.reshaped(shape) { return same }
        let fits =
            shape.rank == declared.rank && zip(shape.dims, declared.dims).allSatisfy { $1 < 0 || $0 == $1 }
        let type = TensorType(given.dtype, given.count == 1 ? [] : shape)
        guard fits, let source = given.reshaped(type.shape),
            let filled = GenericOperator(.expand(shape.dims), inputs: [type], output: TensorType(given.dtype, shape))?
                .evaluate([source]),
            let tensor = GenericOperator(
                .cast(dtype), inputs: [TensorType(given.dtype, shape)], output: TensorType(dtype, shape))?
                .evaluate([filled])
        else {
            throw .fatal(
                FormatError(
                    .invalidArgument, "it has the shape \(declared) in the model, which \(given.shape) does not fit"))
        }
        return tensor
    }
}

/// An input of a model with extents that are not known.
package struct OpenInput: Sendable, Hashable {
    package var name: String
    package var shape: Shape
}

extension FormatError {
    /// With what to do about open extents and values that are missing at the end of the message.
    func namingOpenInputs() -> FormatError {
        var advice: [String] = []
        if !openInputs.isEmpty {
            let inputs = openInputs.prefix(8).map { "\($0.name) \($0.shape)" }.joined(separator: ", ")
            let options = openInputs.prefix(8).map { input in
                "--shape \(input.name)=" + input.shape.dims.map { $0 < 0 ? "N" : "\($0)" }.joined(separator: ",")
            }
            advice.append(
                "these inputs have open extents: \(inputs); give them: \(options.joined(separator: " ")) "
                    + "('shapes' in the settings), or data")
        }
        if !neededInputs.isEmpty {
            let options = neededInputs.prefix(8).map { "--value \($0)=…" }.joined(separator: " ")
            advice.append(
                "the graph depends on the numbers in these inputs; fix them: \(options) ('values' in the settings)")
        }
        guard !advice.isEmpty else { return self }
        return FormatError(code, ([message] + advice.map { "  " + $0 }).joined(separator: "\n"))
            .needing(neededInputs, open: openInputs)
    }
}
