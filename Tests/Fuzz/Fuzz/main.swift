import Glibc
import OunceFuzzTargets

// libFuzzer with the target that the environment names. With OUNCE_FUZZ_ARTIFACTS set to two folders with a colon between,
// writes artifacts of the ONNX models in the first into the second instead.

/// Source: LLVM, compiler-rt/lib/fuzzer/FuzzerInterface.h.
@_silgen_name("LLVMFuzzerRunDriver")
func runDriver(
    _ count: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ testOneInput: @convention(c) (UnsafeRawPointer?, Int) -> CInt
) -> CInt

func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

if let folders = variable("OUNCE_FUZZ_ARTIFACTS")?.split(separator: ":").map(String.init) {
    exit(folders.count == 2 ? ArtifactSeeds.write(from: folders[0], to: folders[1]) : 2)
}

let name = variable("OUNCE_FUZZ_TARGET") ?? ""
guard FuzzTarget(rawValue: name) != nil else {
    print("OUNCE_FUZZ_TARGET is '\(name)'; it must be one of", FuzzTarget.allCases.map(\.rawValue))
    exit(2)
}

var count = CommandLine.argc
var arguments = CommandLine.unsafeArgv
exit(runDriver(&count, &arguments, testOneInput))

@_cdecl("LLVMFuzzerTestOneInput")
func testOneInput(_ start: UnsafeRawPointer?, _ count: Int) -> CInt {
    Running.target.run(UnsafeRawBufferPointer(start: start, count: count))
    return 0
}

enum Running {
    static let target = variable("OUNCE_FUZZ_TARGET").flatMap(FuzzTarget.init) ?? .onnx
}
