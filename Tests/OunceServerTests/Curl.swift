import Foundation

/// What curl, a client that is not ours, makes of an answer.
struct Curl {
    let status: Int
    let body: Data
    let head: String

    var json: Any? { try? JSONSerialization.jsonObject(with: body, options: [.fragmentsAllowed]) }
    var object: [String: Any] { json as? [String: Any] ?? [:] }
    var error: String { object["error"] as? String ?? "" }

    init(_ socket: String, _ target: String, _ arguments: [String] = [], body: Data? = nil) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/curl")
        var all = ["--silent", "--include", "--max-time", "20", "--unix-socket", socket] + arguments
        let file = NSTemporaryDirectory() + "ounce-curl-\(UUID().uuidString)"
        if let body {
            try body.write(to: URL(fileURLWithPath: file))
            all += ["--data-binary", "@\(file)"]
        }
        defer { try? FileManager.default.removeItem(atPath: file) }
        process.arguments = all + ["http://localhost" + target]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        var data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        var head = ""
        // An interim answer stands before the real one.
        repeat {
            let end = data.firstRange(of: Data("\r\n\r\n".utf8))
            head = String(decoding: data[..<(end?.lowerBound ?? data.endIndex)], as: UTF8.self)
            data = end.map { Data(data[$0.upperBound...]) } ?? Data()
        } while head.hasPrefix("HTTP/1.1 100")
        self.head = head.lowercased()
        status = head.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        self.body = data
    }

    func header(_ name: String) -> String? {
        for line in head.split(separator: "\r\n") where line.hasPrefix(name + ":") {
            return line.dropFirst(name.count + 1).trimmingCharacters(in: .whitespaces)
        }
        return nil
    }
}
