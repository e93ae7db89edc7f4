import Foundation

/// What curl, a client that is not ours, makes of an answer.
struct Curl {
    let status: Int
    let headers: [String: String]
    let body: Data

    var json: [String: Any] { (try? JSONSerialization.jsonObject(with: body)) as? [String: Any] ?? [:] }
    var error: String { json["error"] as? String ?? "" }

    init(_ socket: String, _ target: String, _ arguments: [String] = [], body content: Data? = nil) throws {
        let folder = try Folder()
        var all = [
            "--silent", "--max-time", "60", "--unix-socket", socket, "--output", folder.file("body"), "--dump-header",
            folder.file("head"),
        ]
        if let content { all += ["--data-binary", "@" + (try folder.write(content, to: "request"))] }
        let ending = try run("/usr/bin/curl", all + arguments + ["http://localhost" + target])
        guard ending.status == 0 else { throw TestFailure("curl \(target) ended with \(ending.status ?? -1)") }
        let head = FileManager.default.contents(atPath: folder.file("head")) ?? Data()
        // Where there is an interim answer, it stands first.
        let lines =
            (String(decoding: head, as: UTF8.self).components(separatedBy: "\r\n\r\n").last { !$0.isEmpty } ?? "")
            .components(separatedBy: "\r\n")
        status = lines[0].split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        var fields: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            fields[line[..<colon].lowercased()] = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
        }
        headers = fields
        self.body = FileManager.default.contents(atPath: folder.file("body")) ?? Data()
    }

    /// The float32 numbers of the only `data` of a JSON reply, each parsed from its own text.
    var floats: [Float] {
        let text = String(decoding: body, as: UTF8.self)
        guard let match = text.firstMatch(of: /"data":\s*\[([^\]]*)\]/) else { return [] }
        return match.1.split(separator: ",").compactMap { Float($0.trimmingCharacters(in: .whitespaces)) }
    }

    /// What stands behind the JSON of a binary reply, as float32.
    var binaryFloats: [Float] {
        guard let length = headers["inference-header-content-length"].flatMap({ Int($0) }), length <= body.count else {
            return []
        }
        return Data(body[(body.startIndex + length)...]).withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
    }
}

/// Requests as the protocol writes them.
enum InferRequest {
    static func json(_ input: String, _ array: NumPyArray) -> Data {
        let data = array.floats.map { "\($0)" }.joined(separator: ",")
        return Data(
            "{\"inputs\":[{\"name\":\"\(input)\",\"datatype\":\"FP32\",\"shape\":\(array.shape),\"data\":[\(data)]}]}"
                .utf8)
    }

    /// The body and its header; the reply is asked for in binary.
    static func binary(_ input: String, _ array: NumPyArray) -> (body: Data, arguments: [String]) {
        let head = """
            {"inputs":[{"name":"\(input)","datatype":"FP32","shape":\(array.shape),\
            "parameters":{"binary_data_size":\(array.bytes.count)}}],"parameters":{"binary_data_output":true}}
            """
        return (Data(head.utf8) + array.bytes, ["-H", "Inference-Header-Content-Length: \(head.utf8.count)"])
    }
}
