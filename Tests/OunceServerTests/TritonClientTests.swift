import Foundation
import Glibc
import Testing

@testable import OunceServer

/// The shipped example, run with the real tritonclient where `OUNCE_TRITON_PYTHON` names a Python that has it.
@Suite struct TritonClientTests {
    @Test func theShippedExample() throws {
        guard let python = ProcessInfo.processInfo.environment["OUNCE_TRITON_PYTHON"] else {
            return print("skipped: OUNCE_TRITON_PYTHON does not name a Python with tritonclient")
        }
        let server = try TestServer()
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let example = root.appendingPathComponent("docs/tritonclient_unix.py").path
        let array = server.folder + "/x.npy"
        defer { unlink(array) }
        let make = "import numpy, sys; numpy.save(sys.argv[1], numpy.arange(6, dtype='f4').reshape(2, 3) / 7)"
        #expect(try run(python, ["-c", make, array]).status == 0)
        let result = try run(python, [example, server.path, "echo", array])
        #expect(result.status == 0, "\(result.output)")
        #expect(result.output.contains("out_x (2, 3) float32"))
        #expect(result.output.contains("0.71428"))
    }

    private func run(_ program: String, _ arguments: [String]) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: output, as: UTF8.self))
    }
}
