import Glibc
import OunceConfig
import OunceGraph
import OunceRuntime

/// Finds the layers at the model's entrance that an int8 input would spoil.
///
/// Features such as MFCCs put numbers of very different size into one input: one scale for all of them drowns the small
/// ones. Each such layer is run with its input as it is and with its input on the int8 grid; where the signal at its output is
/// less than the recipe's `min_input_sqnr` decibels above the noise, the layer keeps its float input.
struct InputPrecision {
    let calibrator: Calibrator
    let recipe: Quantization

    /// Indices in the graph's nodes.
    func layersWithFloatInput() throws(CompressError) -> Set<Int> {
        guard recipe.minInputSQNR > 0 else { return [] }
        let graph = calibrator.graph
        // Behind a layer that the recipe keeps float there are entries, too; those are no business of the model's input.
        let entries = QuantizePlan(graph, recipe).entryLayers.filter { readsModelInput(graph.nodes[$0]) }
        let inputs = Set(entries.compactMap { graph.nodes[$0].inputs.first ?? nil })
        let statistics = try calibrator.observe(inputs)
        var probe = graph
        var outputs: [ValueID] = []
        var probed: [Int] = []
        for index in entries {
            let node = graph.nodes[index]
            guard let x = node.inputs.first ?? nil,
                let grid = statistics[x]?.grid(recipe.calibration, isSymmetric: recipe.symmetric)
            else { continue }
            do {
                let quantized = try probe.append(
                    .quantize, [x], name: "\(node.name)/probe/quantize", encoding: .affine(grid))
                let back = try probe.append(.dequantize, [quantized], name: "\(node.name)/probe/dequantize")
                let output = try probe.append(node.op, [back] + node.inputs.dropFirst(), name: "\(node.name)/probe")
                outputs += [node.outputs[0], output]
                probed.append(index)
            } catch {
                throw CompressError(.recipe, error.description)
            }
        }
        guard !outputs.isEmpty else { return [] }
        probe.replaceClientOutputs(outputs)
        let ratios = try signalToNoise(probe)
        return Set(zip(probed, ratios).filter { $1 < recipe.minInputSQNR }.map(\.0))
    }

    /// Whether nothing but moves lie between the model's input and this layer.
    private func readsModelInput(_ layer: Node) -> Bool {
        let producers = calibrator.graph.producers()
        var value = layer.inputs.first ?? nil
        while let id = value, let index = producers[id] {
            let node = calibrator.graph.nodes[index]
            guard QuantizePlan.keepsGrid(node.op) else { return false }
            value = node.inputs.first ?? nil
        }
        return true
    }

    /// For each pair of outputs (clean, noisy) the ratio of the clean one's variance to the noise, in decibels.
    private func signalToNoise(_ probe: Graph) throws(CompressError) -> [Double] {
        let model = try CompressError.wrapping(.recipe) { try Model(graph: probe, options: calibrator.options) }
        let pairs = model.outputs.count / 2
        var sums = [[(sum: Double, squares: Double)]](repeating: [], count: pairs)
        var noise = [Double](repeating: 0, count: pairs)
        var rows = [Int](repeating: 0, count: pairs)
        let dataset = calibrator.dataset
        let run = try SampleRun(model, over: dataset)
        for index in 0..<dataset.count * dataset.windows {
            let outputs = try run(index / dataset.windows, window: index % dataset.windows)
            // The pointers below are into the outputs.
            defer { withExtendedLifetime(outputs) {} }
            for pair in 0..<pairs {
                let clean = outputs[2 * pair].bytes.bindMemory(to: Float.self)
                let noisy = outputs[2 * pair + 1].bytes.bindMemory(to: Float.self)
                let channels = max(outputs[2 * pair].shape.dims.last ?? 1, 1)
                if sums[pair].isEmpty { sums[pair] = [(Double, Double)](repeating: (0, 0), count: channels) }
                for index in 0..<min(clean.count, noisy.count) {
                    let value = Double(clean[index])
                    let error = Double(noisy[index]) - value
                    sums[pair][index % channels].sum += value
                    sums[pair][index % channels].squares += value * value
                    noise[pair] += error * error
                }
                rows[pair] += clean.count / channels
            }
        }
        return (0..<pairs).map { pair in
            let count = Double(max(rows[pair], 1))
            let variance = sums[pair].reduce(0) { $0 + $1.squares - $1.sum * $1.sum / count }
            return noise[pair] == 0 ? .infinity : 10 * log10(max(variance, 1e-300) / noise[pair])
        }
    }
}
