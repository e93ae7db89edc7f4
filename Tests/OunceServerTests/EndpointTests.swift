import Foundation
import Testing

@testable import OunceServer

/// The endpoints as curl sees them.
@Suite struct EndpointTests {
    @Test func healthAndMetadata() throws {
        let server = try TestServer()
        #expect(try Curl(server.path, "/v2/health/live").status == 200)
        #expect(try Curl(server.path, "/v2/health/ready").status == 200)
        let root = try Curl(server.path, "/v2")
        #expect(root.object["name"] as? String == "ounce")
        #expect(root.object["version"] as? String == "1.2.3")
        #expect((root.object["extensions"] as? [String])?.contains("binary_tensor_data") == true)
        #expect(root.header("content-length") == String(root.body.count))

        let model = try Curl(server.path, "/v2/models/echo")
        #expect(model.object["versions"] as? [String] == ["v1"])
        let input = (model.object["inputs"] as? [[String: Any]])?.first
        #expect(input?["name"] as? String == "x")
        #expect(input?["datatype"] as? String == "FP32")
        #expect(input?["shape"] as? [Int] == [-1, 3])
        #expect(try Curl(server.path, "/v2/models/ec%68o/versions/v1").status == 200)
        #expect(try Curl(server.path, "/v2/models/echo/versions/v9").status == 404)
        #expect(try Curl(server.path, "/v2/models/echo/ready").object["ready"] as? Bool == true)
        #expect(try Curl(server.path, "/v2/models/nope/ready").status == 404)
        #expect(try Curl(server.path, "/v2/models/%zz").status == 400)
        #expect(try Curl(server.path, "/v3").status == 404)
    }

    @Test func methods() throws {
        let server = try TestServer()
        #expect(try Curl(server.path, "/v2", ["-X", "DELETE"]).status == 405)
        let get = try Curl(server.path, "/v2/models/echo/infer")
        #expect(get.status == 405)
        #expect(get.header("allow") == "post")
        #expect(try Curl(server.path, "/v2", ["-X", "BREW"]).status == 400)
        let head = try Curl(server.path, "/v2", ["--head"])
        #expect(head.status == 200)
        #expect(head.body.isEmpty)
        #expect(head.header("content-length") == String(try Curl(server.path, "/v2").body.count))
    }

    @Test func modelsThatAreNotReady() throws {
        let server = try TestServer()
        server.store.announce("slow", "compressing")
        server.store.fail("bad", reason: "no such operator")
        #expect(try Curl(server.path, "/v2/health/ready").status == 503)
        let slow = try Curl(server.path, "/v2/models/slow/infer", body: Data("{}".utf8))
        #expect(slow.status == 503)
        #expect(slow.error.contains("compressing"))
        let ready = try Curl(server.path, "/v2/models/slow/ready")
        #expect(ready.status == 503)
        #expect(ready.object["ready"] as? Bool == false)
        #expect(try Curl(server.path, "/v2/models/bad").error.contains("no such operator"))

        let index = try Curl(server.path, "/v2/repository/index", body: Data("{}".utf8))
        let states = (index.json as? [[String: Any]] ?? []).map { "\($0["name"] ?? "") \($0["state"] ?? "")" }
        #expect(states == ["bad UNAVAILABLE", "echo READY", "slow LOADING", "types READY"])
        let ready2 = try Curl(server.path, "/v2/repository/index", body: Data(#"{"ready": true}"#.utf8))
        #expect((ready2.json as? [Any])?.count == 2)

        // A version that is served outlives a change that fails.
        server.store.fail("echo", reason: "out of memory")
        #expect(try Curl(server.path, "/v2/models/echo/ready").status == 200)
        let status = try DaemonClient(socket: server.path).status()
        #expect(status.models.first { $0.name == "echo" }?.lastProblem == "out of memory")
    }

    @Test func inferJSON() throws {
        let server = try TestServer()
        let body =
            #"{"id":"a\u00e9\"1","inputs":[{"name":"x","data":[[1,2.5,-3e-2],[0.1,16777216,1e38]],"#
            + #""datatype":"FP32","shape":[2,3],"parameters":{"whatever":[{}]}}],"parameters":{"priority":3}}"#
        let reply = try Curl(server.path, "/v2/models/echo/infer", body: Data(body.utf8))
        #expect(reply.status == 200)
        #expect(reply.object["model_name"] as? String == "echo")
        #expect(reply.object["model_version"] as? String == "v1")
        #expect(reply.object["id"] as? String == "aé\"1")
        let output = (reply.object["outputs"] as? [[String: Any]])?.first
        #expect(output?["name"] as? String == "out_x")
        #expect(output?["shape"] as? [Int] == [2, 3])
        let data = output?["data"] as? [Double] ?? []
        #expect(data.map { Float($0) } == [1, 2.5, -3e-2, 0.1, 16_777_216, 1e38])
    }

    @Test func inferEveryType() throws {
        let server = try TestServer()
        let values: [(String, String, [Any])] = [
            ("float32", "FP32", [1.5, -2.25]), ("float16", "FP16", [0.5, 65504]), ("float64", "FP64", [1e300, 0.1]),
            ("int8", "INT8", [-128, 127]), ("uint8", "UINT8", [0, 255]), ("int16", "INT16", [-32768, 32767]),
            ("uint16", "UINT16", [0, 65535]), ("int32", "INT32", [-2_147_483_648, 2_147_483_647]),
            ("uint32", "UINT32", [0, 4_294_967_295]), ("int64", "INT64", [Int64.min, Int64.max]),
            ("uint64", "UINT64", [0, UInt64.max]), ("bool", "BOOL", [true, false]),
        ]
        let inputs = values.map { ["name": $0.0, "datatype": $0.1, "shape": [2], "data": $0.2] as [String: Any] }
        let body = try JSONSerialization.data(withJSONObject: ["inputs": inputs])
        let reply = try Curl(server.path, "/v2/models/types/infer", body: body)
        #expect(reply.status == 200, "\(reply.error)")
        for output in reply.object["outputs"] as? [[String: Any]] ?? [] {
            let expected = values.first { "out_" + $0.0 == output["name"] as? String }?.2 as? [NSNumber]
            #expect(output["data"] as? [NSNumber] == expected, "\(output)")
        }
        for (type, bad) in [
            ("INT8", "128"), ("INT8", "-129"), ("UINT8", "-1"), ("UINT64", "18446744073709551616"), ("INT32", "0.5"),
            ("BOOL", "2"), ("FP32", "1e39"), ("FP16", "65520"), ("FP64", "1e309"), ("INT64", "\"1\""), ("FP32", "null"),
        ] {
            let text = "{\"inputs\":[{\"name\":\"y\",\"datatype\":\"\(type)\",\"shape\":[1],\"data\":[\(bad)]}]}"
            let reply = try Curl(server.path, "/v2/models/types/infer", body: Data(text.utf8))
            #expect(reply.status == 400 && reply.error.contains("'data' is wrong"), "\(type) \(bad) \(reply.error)")
        }
    }

    @Test func inferBinary() throws {
        let server = try TestServer()
        let json = Data(
            (#"{"inputs":[{"name":"x","datatype":"FP32","shape":[1,3],"parameters":{"binary_data_size":12}}],"#
                + #""parameters":{"binary_data_output":true}}"#).utf8)
        let floats: [Float] = [1, .infinity, -2.5]
        let tensor = floats.withUnsafeBytes { Data($0) }
        let reply = try Curl(
            server.path, "/v2/models/echo/infer", ["-H", "Inference-Header-Content-Length: \(json.count)"],
            body: json + tensor)
        #expect(reply.status == 200, "\(reply.error)")
        let length = reply.header("inference-header-content-length").flatMap { Int($0) } ?? 0
        #expect(reply.body.dropFirst(length) == tensor)
        let head = try JSONSerialization.jsonObject(with: reply.body.prefix(length)) as? [String: Any]
        let output = (head?["outputs"] as? [[String: Any]])?.first
        #expect((output?["parameters"] as? [String: Int])?["binary_data_size"] == 12)
        #expect(output?["data"] == nil)

        // What an output says of itself wins over what the request says of all.
        let text = Data(
            (#"{"inputs":[{"name":"x","datatype":"FP32","shape":[1,3],"data":[1,2,3]}],"#
                + #""outputs":[{"name":"out_x","parameters":{"binary_data":false}}],"#
                + #""parameters":{"binary_data_output":true}}"#).utf8)
        let second = try Curl(server.path, "/v2/models/echo/infer", body: text)
        #expect(second.header("inference-header-content-length") == nil)
        #expect((second.object["outputs"] as? [[String: Any]])?.first?["data"] as? [Double] == [1, 2, 3])
    }

    @Test func largeBodyWithExpect() throws {
        let server = try TestServer()
        let rows = 200_000
        let numbers = (0..<rows * 3).map { String(Float($0) / 7) }.joined(separator: ",")
        let body = "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[\(rows),3],\"data\":[\(numbers)]}]}"
        #expect(body.utf8.count > 1 << 20)
        let reply = try Curl(
            server.path, "/v2/models/echo/infer", ["-H", "Expect: 100-continue"], body: Data(body.utf8))
        #expect(reply.status == 200)
        let data = (reply.object["outputs"] as? [[String: Any]])?.first?["data"] as? [Double] ?? []
        #expect(data.count == rows * 3)
        #expect(data.indices.allSatisfy { Float(data[$0]) == Float($0) / 7 })
    }

    @Test func refusals() throws {
        let server = try TestServer()
        func post(_ body: String, _ headers: [String] = []) throws -> Curl {
            try Curl(server.path, "/v2/models/echo/infer", headers.flatMap { ["-H", $0] }, body: Data(body.utf8))
        }
        func input(_ fields: String) -> String { #"{"inputs":[{"name":"x","datatype":"FP32",\#(fields)}]}"# }
        #expect(try post("").status == 400)
        #expect(try post("[]").error.contains("byte 0"))
        #expect(try post(#"{"inputs":[]}"#).error.contains("'x' is missing"))
        #expect(try post(input(#""shape":[1,3]"#)).error.contains("neither 'data'"))
        #expect(try post(input(#""shape":[1,2],"data":[1,2]"#)).error.contains("shape [?,3], not [1,2]"))
        #expect(try post(input(#""shape":[1,3],"data":[1,2]"#)).status == 400)
        #expect(try post(input(#""shape":[2,3],"data":[[1,2,3],[4,5]]"#)).status == 400)
        #expect(try post(input(#""shape":[2,3],"data":[[1,2],[3,4],[5,6]]"#)).status == 400)
        #expect(try post(input(#""shape":[999999999,999999999],"data":[1]"#)).status == 400)
        #expect(try post(input(#""shape":[1000000,1000],"data":[1]"#)).status == 400)
        #expect(try post(input(#""shape":[-1,3],"data":[1]"#)).status == 400)
        #expect(try post(input(#""shape":[1,3],"parameters":{"shared_memory_region":"r"}"#)).status == 501)
        #expect(
            try post(input(#""shape":[1,3],"parameters":{"binary_data_size":12}"#)).error.contains("0 bytes are left"))
        #expect(
            try post(input(#""shape":[1,3],"data":[1,2,3]}],"outputs":[{"name":"q""#)).error.contains("no output 'q'"))
        #expect(try post("{}", ["Inference-Header-Content-Length: 3"]).status == 400)
        #expect(try post("{}", ["Inference-Header-Content-Length: -1"]).status == 400)
        #expect(try post("{}", ["Inference-Header-Content-Length: x"]).status == 400)
        #expect(try post("{}", ["Content-Encoding: gzip"]).status == 400)
        #expect(try post(String(repeating: "[", count: 100_000)).status == 400)
        #expect(try post(#"{"a":"# + String(repeating: "[", count: 100_000)).error.contains("deeper than 64"))
        #expect(try Curl(server.path, "/v2/models/nope/infer", body: Data("{}".utf8)).status == 404)
    }

    @Test func statisticsAndStatus() throws {
        let server = try TestServer()
        let body = Data(#"{"inputs":[{"name":"x","datatype":"FP32","shape":[1,3],"data":[1,2,3]}]}"#.utf8)
        for _ in 0..<5 { #expect(try Curl(server.path, "/v2/models/echo/infer", body: body).status == 200) }
        #expect(try Curl(server.path, "/v2/models/echo/infer", body: Data("{".utf8)).status == 400)
        let one = try Curl(server.path, "/v2/models/echo/stats")
        let stats = (one.object["model_stats"] as? [[String: Any]])?.first
        #expect(stats?["inference_count"] as? Int == 5)
        let inner = stats?["inference_stats"] as? [String: [String: Int]]
        #expect(inner?["success"]?["count"] == 5)
        #expect(inner?["fail"]?["count"] == 1)
        #expect(inner?["compute_infer"]?["count"] == 5)
        let all = try Curl(server.path, "/v2/models/stats")
        #expect((all.object["model_stats"] as? [Any])?.count == 2)
        let status = try DaemonClient(socket: server.path).status()
        let echo = status.models.first { $0.name == "echo" }
        #expect(echo?.requests == 5)
        #expect(echo?.recipe == "int8")
        #expect((echo?.latency?.p50 ?? 0) > 0)
        #expect((echo?.latency?.p99 ?? 0) >= (echo?.latency?.p50 ?? 1))
    }

    @Test func reload() throws {
        struct Control: ServerControl {
            let result: ReloadResult
            func daemonStatus() -> DaemonStatus {
                DaemonStatus(
                    version: "1", pid: 2, configuration: "f", profile: "p", threads: 1,
                    device: .init(cpu: "c", cores: 1, memoryBytes: 3), uptimeSeconds: 4, activity: "a",
                    lastReload: result)
            }
            func reload(_ finished: @escaping @Sendable (ReloadResult) -> Void) { finished(result) }
        }
        let good = try TestServer(control: Control(result: ReloadResult(.applied, "1 model changed")))
        #expect(try DaemonClient(socket: good.path).reload().outcome == .applied)
        #expect(try DaemonClient(socket: good.path).status().daemon?.lastReload?.message == "1 model changed")
        let bad = try TestServer(control: Control(result: ReloadResult(.refused, "ounce.yaml:3:7: unknown key")))
        #expect(try Curl(bad.path, "/v2/ounce/reload", ["-X", "POST"]).status == 400)
        let error = #expect(throws: ClientError.self) { try DaemonClient(socket: bad.path).reload() }
        #expect(error?.message == "ounce.yaml:3:7: unknown key")
    }
}
