/// Source: LLVM, compiler-rt/lib/fuzzer/FuzzerInterface.h.
@_silgen_name("LLVMFuzzerMutate")
private func mutate(_ data: UnsafeMutableRawPointer?, _ size: Int, _ maximum: Int) -> Int

/// What libFuzzer calls to change an input in place: models and tensors of ONNX mostly by their structure, everything else
/// as ever.
@_cdecl("LLVMFuzzerCustomMutator")
func mutateInput(_ data: UnsafeMutableRawPointer?, _ size: Int, _ maximum: Int, _ seed: UInt32) -> Int {
    guard Running.target == .onnx || Running.target == .tensor, seed % 4 != 0, let data else {
        return mutate(data, size, maximum)
    }
    var mutator = ProtobufMutator(seed: seed) { content in
        var room = content + [UInt8](repeating: 0, count: max(16, content.count / 4))
        let count = room.withUnsafeMutableBytes { mutate($0.baseAddress, content.count, $0.count) }
        return Array(room[..<count])
    }
    guard let changed = mutator.mutate(Array(UnsafeRawBufferPointer(start: data, count: size))),
        changed.count <= maximum
    else { return mutate(data, size, maximum) }
    data.copyMemory(from: changed, byteCount: changed.count)
    return changed.count
}
