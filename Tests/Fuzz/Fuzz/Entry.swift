import Glibc
import OunceFuzzTargets

/// What libFuzzer calls with each input; the environment says which target takes it.
@_cdecl("LLVMFuzzerTestOneInput")
func testOneInput(_ start: UnsafeRawPointer?, _ count: Int) -> CInt {
    target.run(UnsafeRawBufferPointer(start: start, count: count))
    return 0
}

/// What libFuzzer calls first. With OUNCE_FUZZ_ARTIFACTS set to two folders with a colon between, writes artifacts of the
/// ONNX models in the first into the second and ends.
@_cdecl("LLVMFuzzerInitialize")
func initialize(_ count: UnsafeMutablePointer<CInt>?, _ arguments: UnsafeMutableRawPointer?) -> CInt {
    guard let folders = getenv("OUNCE_FUZZ_ARTIFACTS").map({ String(cString: $0) }) else { return 0 }
    let parts = folders.split(separator: ":").map(String.init)
    exit(parts.count == 2 ? ArtifactSeeds.write(from: parts[0], to: parts[1]) : 2)
}

private let target: FuzzTarget = {
    let name = getenv("OUNCE_FUZZ_TARGET").map { String(cString: $0) } ?? ""
    guard let target = FuzzTarget(rawValue: name) else {
        print("OUNCE_FUZZ_TARGET is '\(name)'; it must be one of", FuzzTarget.allCases.map(\.rawValue))
        exit(2)
    }
    return target
}()
