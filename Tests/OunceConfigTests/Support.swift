import Glibc

@testable import OunceConfig

/// Decodes one document and gives the diagnostics as lines, with the file called `f`.
func profile(_ yaml: String) -> (value: DeviceProfile?, errors: [String]) {
    decode(yaml, "device profile") { DeviceProfile($0) }
}

func recipe(_ yaml: String) -> (value: Recipe?, errors: [String]) {
    decode(yaml, "recipe") { Recipe($0) }
}

func settings(_ yaml: String) -> (value: DaemonSettings?, errors: [String]) {
    let paths = PathResolver(file: "/etc/ounce/f", shareDirectories: [])
    return decode(yaml, "settings") { DaemonSettings($0, paths: paths, defaultStateDirectory: "/state") }
}

func decode<T>(_ bytes: [UInt8], _ name: String, _ decoder: (Field) -> T?) -> (value: T?, errors: [String]) {
    let sink = DiagnosticSink(file: "f")
    let value = YAMLParser.parse(bytes, sink).flatMap { decoder(Field(key: name, node: $0, sink: sink)) }
    return (value, sink.diagnostics.map(\.description))
}

private func decode<T>(_ yaml: String, _ name: String, _ decoder: (Field) -> T?) -> (value: T?, errors: [String]) {
    decode(Array(yaml.utf8), name, decoder)
}

/// The package's folder.
let root = String(#filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 })

func contents(_ path: String) -> [UInt8] {
    guard let file = fopen(path, "r") else { return [] }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while true {
        let count = fread(&chunk, 1, chunk.count, file)
        if count == 0 { return bytes }
        bytes += chunk.prefix(count)
    }
}

/// A directory of its own for a test, removed at the end.
final class TemporaryDirectory {
    let path: String

    init() {
        var template = Array("/tmp/ounce-config-XXXXXX".utf8CString)
        path = mkdtemp(&template).map { String(cString: $0) } ?? "/nonexistent"
    }

    @discardableResult
    func write(_ name: String, _ text: String) -> String {
        let file = path + "/" + name
        if let slash = name.lastIndex(of: "/") { mkdir(path + "/" + name[..<slash], 0o700) }
        guard let stream = fopen(file, "w") else { return file }
        fputs(text, stream)
        fclose(stream)
        return file
    }

    deinit { system("rm -rf '\(path)'") }
}

/// SplitMix64 (Steele, Lea and Flood 2014).
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
