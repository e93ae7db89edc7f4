import OunceGraph

extension ONNXExport {
    /// Numbers moved to the places of a grid that their range gives, in plain arithmetic: DynamicQuantizeLinear rounds
    /// halves otherwise and has one grid for all.
    mutating func roundToDynamicGrid(_ node: Node, _ x: ValueID, _ grid: DynamicGrid) throws(FormatError) {
        let order = order(x)
        let source = try tensor(x, order: order)
        let name = node.name
        let axes = order.indices.filter { order[$0] >= grid.batchAxes }
        guard !axes.isEmpty else { return try finish(node, "Identity", [source], order: order) }
        func step(_ type: String, _ inputs: [String], _ output: String) -> String {
            emit(type, inputs, name: "\(name)_\(output)", output: "\(name)_\(output)")
        }
        let zero = scalar(0, name: "\(name)_zero")
        let half = scalar(0.5, name: "\(name)_half")
        /// Halves away from zero.
        func rounded(_ x: String, _ output: String) -> String {
            let raised = step("Add", [step("Abs", [x], "\(output)_abs"), half], "\(output)_raised")
            let whole = step("Floor", [raised], "\(output)_floor")
            return step("Mul", [whole, step("Sign", [x], "\(output)_sign")], output)
        }
        let least = scalar(grid.isSymmetric ? -127 : -128, name: "\(name)_least")
        let most = scalar(127, name: "\(name)_most")
        let high = extreme("ReduceMax", grid.isSymmetric ? step("Abs", [source], "abs") : source, axes, name)
        let range: String
        var offset: String?
        if grid.isSymmetric {
            range = high
        } else {
            let low = step("Min", [extreme("ReduceMin", source, axes, name), zero], "low")
            range = step("Sub", [step("Max", [high, zero], "high"), low], "range")
            // Where all are zero any step will do.
            let steps = step("Div", [low, scale(of: range, 255, name)], "low_places")
            let place = rounded(step("Sub", [least, steps], "least_place"), "offset_place")
            offset = step("Clip", [place, least, most], "offset")
        }
        let scale = scale(of: range, grid.isSymmetric ? 127 : 255, name)
        var place = step("Div", [source, scale], "places")
        if let offset { place = step("Add", [place, offset], "moved") }
        place = step("Clip", [rounded(place, "nearest"), least, most], "clipped")
        if let offset { place = step("Sub", [place, offset], "centred") }
        try finish(node, "Mul", [place, scale], order: order)
    }

    /// A step of the grid; never zero.
    private mutating func scale(of range: String, _ places: Float, _ name: String) -> String {
        let tiny = scalar(1e-35, name: "\(name)_tiny")
        let safe = emit("Max", [range, tiny], name: "\(name)_safe_range", output: "\(name)_safe_range")
        let count = scalar(places, name: "\(name)_place_count")
        return emit("Div", [safe, count], name: "\(name)_scale", output: "\(name)_scale")
    }

    private mutating func extreme(_ type: String, _ x: String, _ axes: [Int], _ name: String) -> String {
        var inputs = [x]
        var attributes: [String: ONNXAttribute] = ["keepdims": .integer(1)]
        if opset >= 18 {
            inputs.append(integers(axes, name: "\(name)_axes"))
        } else {
            attributes["axes"] = .integers(axes)
        }
        return emit(type, inputs, name: "\(name)_\(type)", output: "\(name)_\(type)", attributes)
    }
}
