import COunceKernels

extension LoweredStep {
    /// What it fills around a box that it leaves alone; nil for other steps.
    fileprivate var border: ounce_copy_params? {
        guard case .kernel(OUNCE_COPY) = work else { return nil }
        let copy = parameters.pointer.assumingMemoryBound(to: ounce_copy_params.self).pointee
        return copy.hole != 0 ? copy : nil
    }
}

enum RepeatedBorders {
    /// The steps without those that fill a border which still stands: an earlier step has filled the same one at the same place,
    /// and all that was written there since are images within it.
    ///
    /// - Parameter buffers: with their places in the arena.
    static func removed(from steps: [LoweredStep], _ buffers: [PlannedBuffer]) -> [LoweredStep] {
        let borders = steps.map(\.border)
        var bordered: [Int: Int] = [:]
        for index in steps.indices where borders[index] != nil { bordered[steps[index].output] = index }
        func isSame(_ a: Int, _ b: Int) -> Bool {
            guard var x = borders[a], var y = borders[b],
                buffers[steps[a].output].offset == buffers[steps[b].output].offset
            else { return false }
            return withUnsafeBytes(of: &x) { x in withUnsafeBytes(of: &y) { y in x.elementsEqual(y) } }
        }
        func stands(_ index: Int) -> Bool {
            let place = buffers[steps[index].output]
            for earlier in (0..<index).reversed() {
                let written = buffers[steps[earlier].output]
                guard written.offset < place.offset + place.byteCount, place.offset < written.offset + written.byteCount
                else { continue }
                guard let border = bordered[steps[earlier].output], isSame(border, index) else { return false }
                if borders[earlier] != nil { return true }
            }
            return false
        }
        return steps.indices.filter { borders[$0] == nil || !stands($0) }.map { steps[$0] }
    }
}
