import OunceGraph

/// Graphs for several samples at once, where each sample's outputs are those that it would have alone.
enum BatchedGraph {
    /// With a batch of 1.
    static func single(_ graph: Graph) throws(TrainError) -> Graph {
        do {
            return try graph.bound(to: [:])
        } catch {
            throw TrainError(.unsupported, error.description)
        }
    }

    /// Programs of the graph and its teacher for a batch; nil where one of them cannot take it.
    ///
    /// - Throws: `.unsupported` where the graph cannot be trained at all.
    static func programs(
        _ graph: Graph, batch: Int, _ options: TrainingProgram.Options, teacher: Graph?,
        _ teacherOptions: TrainingProgram.Options
    ) throws(TrainError) -> (TrainingProgram, TrainingProgram?)? {
        guard let wide = graph.rebatched(batch), let program = try? TrainingProgram(graph: wide, options: options),
            try agrees(program, with: graph, batch: batch, teacherOptions, constraints: options)
        else { return nil }
        guard let teacher else { return (program, nil) }
        guard let wideTeacher = teacher.rebatched(batch) else { return nil }
        let teacherProgram = try TrainingProgram(graph: wideTeacher, options: teacherOptions)
        guard try agrees(teacherProgram, with: teacher, batch: batch, teacherOptions, constraints: nil) else {
            return nil
        }
        return (program, teacherProgram)
    }

    /// Whether the first and the last sample of a batch give what they give alone.
    private static func agrees(
        _ program: TrainingProgram, with graph: Graph, batch: Int, _ options: TrainingProgram.Options,
        constraints: TrainingProgram.Options?
    ) throws(TrainError) -> Bool {
        // Normalisation by the batch makes samples depend on each other, as it should.
        guard !program.usesBatchStatistics else { return true }
        var options = options
        options.quantizers = (constraints?.quantizers ?? [:]).mapValues {
            var fixed = $0
            fixed.learnsScale = false
            return fixed
        }
        options.binaryWeights = constraints?.binaryWeights ?? [:]
        let alone = try TrainingProgram(graph: try single(graph), options: options)
        var random = SplitMix(seed: 1)
        for slot in program.inputs where slot.type.dtype == .float32 {
            for index in 0..<slot.count { slot.x[index] = random.normal() }
        }
        program.forward()
        for sample in [0, batch - 1] {
            for (wide, own) in zip(program.inputs, alone.inputs) {
                let bytes = own.value.byteCount
                own.value.raw.copyMemory(from: wide.value.raw + sample * bytes, byteCount: bytes)
            }
            alone.forward()
            for (wide, own) in zip(program.heads, alone.heads) {
                guard wide.count == own.count * batch else { return false }
                var (error, norm): (Float, Float) = (0, 1e-12)
                for index in 0..<own.count {
                    error = max(error, abs(wide.x[sample * own.count + index] - own.x[index]))
                    norm = max(norm, abs(own.x[index]))
                }
                guard error <= 1e-3 * norm else { return false }
            }
        }
        return true
    }
}
