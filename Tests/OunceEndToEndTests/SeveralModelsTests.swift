import Foundation
import Testing

extension EndToEndTests {
    /// An image, an audio and the vibration model served by one daemon.
    @Suite(.serialized) struct SeveralModelsTests {
        private struct Served {
            let name: String
            let source: String
            let input: String
            let calibration: String
            /// One sample with its batch axis of 1, and its label.
            let samples: [(array: NumPyArray, label: Int?)]
            /// The share of right answers that is the least, by the manifest's reference figure.
            let leastRight: Double
        }

        @Test func imageAudioAndVibration() throws {
            guard let shared = SharedData.folder else {
                return print("skipped: no shared data; set OUNCE_SHARED_DATA")
            }
            let folder = try Folder()
            let image = try load(shared, "mlperf_ic_resnet8_float_onnx", folder, "image")
            let audio = try load(shared, "mlperf_kws_dscnn_float_onnx", folder, "audio")
            let vibration = Served(
                name: "vibration", source: Vibration.model, input: Vibration.input, calibration: Vibration.calibration,
                samples: (0..<3).map { (Vibration.samples(1, seed: 20 + $0), nil) }, leastRight: 0)
            let models = [image, audio, vibration]
            let lines = models.map {
                "  - {name: \($0.name), source: \($0.source), recipe: int8, data: {calibration: \($0.calibration)}}"
            }
            try folder.write(TestDaemon.yaml(folder, lines), to: "ounce.yaml")
            let daemon = try TestDaemon(folder: folder)
            try daemon.waitUntilSettled()
            #expect(try daemon.curl("/v2/health/ready").status == 200, "\(daemon.story)")

            // In turns, so that all are at work together.
            var right: [String: Int] = [:]
            for index in 0..<image.samples.count {
                for model in models where index < model.samples.count {
                    let (array, label) = model.samples[index]
                    let floats = try answer(daemon, model, array)
                    if let label, floats.firstIndex(of: floats.max() ?? 0) == label {
                        right[model.name, default: 0] += 1
                    }
                }
            }
            for model in [image, audio] {
                let share = Double(right[model.name] ?? 0) / Double(model.samples.count)
                print("\(model.name): \(share) of \(model.samples.count) right")
                #expect(share >= model.leastRight)
            }
            try triton(daemon, models)
            #expect(try daemon.stop().status == 0)
        }

        /// The binary answer, which must be that of `ounce infer` on the daemon's artifact.
        private func answer(_ daemon: TestDaemon, _ model: Served, _ array: NumPyArray) throws -> [Float] {
            let request = InferRequest.binary(model.input, array)
            let reply = try daemon.curl("/v2/models/\(model.name)/infer", request.arguments, body: request.body)
            #expect(reply.status == 200, "\(reply.error)")
            return reply.binaryFloats
        }

        private func triton(_ daemon: TestDaemon, _ models: [Served]) throws {
            let keys = try daemon.models().mapValues { $0["key"] as? String ?? "" }
            guard let python = ProcessInfo.processInfo.environment["OUNCE_TRITON_PYTHON"] else {
                print("skipped: OUNCE_TRITON_PYTHON does not name a Python with tritonclient")
                for model in models {
                    let file = "\(daemon.state)/artifacts/\(keys[model.name] ?? "").ounce"
                    let expected = try inferred(file, model.samples[0].array).floats
                    #expect(try answer(daemon, model, model.samples[0].array) == expected)
                }
                return
            }
            for model in models {
                let file = "\(daemon.state)/artifacts/\(keys[model.name] ?? "").ounce"
                let array = model.samples[0].array
                let expected = try inferred(file, array).floats
                #expect(try answer(daemon, model, array) == expected)
                let input = try daemon.folder.write(array.encoded, to: "\(model.name).npy")
                let example = Programs.root + "/docs/tritonclient_unix.py"
                let result = try run(python, [example, daemon.socket, model.name, input])
                #expect(result.status == 0, "\(result.error)")
                #expect(result.text.contains("(1, \(expected.count)) float32"), "\(result.text)")
                // numpy prints eight digits.
                let values = result.text.split(separator: "\n").dropFirst().joined(separator: " ")
                    .components(separatedBy: CharacterSet(charactersIn: "[] ")).compactMap { Float($0) }
                #expect(values.count == expected.count)
                for (value, wanted) in zip(values, expected) {
                    #expect(abs(value - wanted) <= 1e-6 + 1e-4 * abs(wanted), "\(model.name)")
                }
            }
        }

        /// A model of the manifest with samples prepared as its rules say.
        private func load(_ shared: String, _ id: String, _ folder: Folder, _ name: String) throws -> Served {
            let data = try Data(contentsOf: URL(fileURLWithPath: shared + "/manifest.json"))
            let manifest = try JSONSerialization.jsonObject(with: data) as? [String: Any] ?? [:]
            let models = manifest["models"] as? [[String: Any]] ?? []
            let model = try #require(models.first { $0["id"] as? String == id })
            let input = try #require((model["inputs"] as? [[String: Any]])?.first)
            let shape = try #require(input["shape"] as? [Int])
            let splits = try #require(model["data"] as? [String: Any])
            let references = model["reference"] as? [[String: Any]] ?? []
            let reference = try #require(references.first?["value"] as? Double)
            func split(_ split: String, _ count: Int) throws -> (arrays: [[Float]], labels: [Int]) {
                let files = try #require(splits[split] as? [String: Any])
                let x = try NumPyArray(contentsOf: shared + "/" + (files["x"] as? String ?? ""))
                let y = try NumPyArray(contentsOf: shared + "/" + (files["y"] as? String ?? ""))
                let preprocessing = try #require(model["preprocessing"] as? [String: Any])
                return (
                    (0..<count).map { prepare(x, $0, preprocessing) }, y.values(UInt8.self).prefix(count).map(Int.init)
                )
            }
            let dev = try split("dev", 20)
            let calib = try split("calib", 50)
            let calibration = NumPyArray(calib.arrays.flatMap(\.self), shape: [50] + shape.dropFirst())
            return Served(
                name: name, source: shared + "/" + (model["path"] as? String ?? ""),
                input: input["name"] as? String ?? "",
                calibration: try folder.write(calibration.encoded, to: name + "-calibration.npy"),
                samples: zip(dev.arrays, dev.labels).map { (NumPyArray($0, shape: shape), $1) },
                // Twenty samples are few: three standard errors below the figure.
                leastRight: reference - 3 * (reference * (1 - reference) / 20).squareRoot())
        }

        /// (row * scale - mean) / std, then the transpose: the manifest's preprocessing_rule.
        private func prepare(_ x: NumPyArray, _ index: Int, _ rule: [String: Any]) -> [Float] {
            let dims = Array(x.shape.dropFirst())
            let size = dims.reduce(1, *)
            let range = (index * size)..<((index + 1) * size)
            let raw =
                x.descr.hasSuffix("i1")
                ? x.values(Int8.self)[range].map(Float.init) : x.values(UInt8.self)[range].map(Float.init)
            let scale = Float((rule["scale"] as? NSNumber)?.doubleValue ?? 1)
            let mean = (rule["mean"] as? [NSNumber] ?? [0]).map { Float($0.doubleValue) }
            let std = (rule["std"] as? [NSNumber] ?? [1]).map { Float($0.doubleValue) }
            let values = raw.enumerated().map { ($1 * scale - mean[$0 % mean.count]) / std[$0 % std.count] }
            guard let order = rule["transpose"] as? [Int], order == [2, 0, 1] else { return values }
            let plane = dims[0] * dims[1]
            return (0..<dims[2]).flatMap { channel in (0..<plane).map { values[$0 * dims[2] + channel] } }
        }
    }
}
