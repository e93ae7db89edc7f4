import OunceFormats

enum ArrayFuzzing {
    static func readTensor(_ bytes: [UInt8]) {
        guard let tensor = try? ONNXTensorFile.parse(bytes: bytes) else { return }
        check(tensor.doubles().count == tensor.count)
    }

    /// What is read can be written, and reads back as it was.
    static func readNumPy(_ bytes: [UInt8]) {
        if let tensor = try? NumPyFile.parse(bytes: bytes) {
            let again = try? NumPyFile.parse(bytes: NumPyFile.serialize(tensor))
            check(again?.shape == tensor.shape && again?.bytes.elementsEqual(tensor.bytes) == true)
        }
        if let arrays = try? NumPyArchive.parse(bytes: bytes), let written = try? NumPyArchive.serialize(arrays) {
            check((try? NumPyArchive.parse(bytes: written))?.count == arrays.count)
        }
    }
}

/// Ends the process, which the fuzzer and the tests notice.
func check(_ condition: Bool, _ line: UInt = #line) { precondition(condition, "line \(line)") }
