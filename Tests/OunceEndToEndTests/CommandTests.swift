import Foundation
import Testing

extension EndToEndTests {
    /// What scripts may rely on: exit statuses, JSON keys, messages that name the file.
    @Suite(.serialized) struct CommandTests {
        @Test func check() throws {
            let config = Programs.root + "/Config"
            let profiles = Folder.names(in: config + "/profiles").map { config + "/profiles/" + $0 }
            let recipes = Folder.names(in: config + "/recipes").map { config + "/recipes/" + $0 }
            #expect(profiles.count >= 11 && recipes.count >= 3)
            let all = try run(Programs.ounce, ["check", config + "/ounce.yaml"] + profiles + recipes)
            #expect(all.status == 0, "\(all.error)")

            let folder = try Folder()
            let path = try folder.write(
                "name: x\ncores: none\nmemory: 5 apples\nsimd: auto\nmemroy: 1MiB\n", to: "p.yaml")
            let wrong = try ounce("check", path, config + "/ounce.yaml")
            #expect(wrong.status == 78)
            for place in [":2:", ":3:", ":5:"] { #expect(wrong.error.contains(path + place), "\(wrong.error)") }
            let json = try ounce("check", "--json", path)
            #expect(json.status == 78)
            #expect(json.json["ok"] as? Bool == false)
            let errors = json.json["errors"] as? [[String: Any]] ?? []
            #expect(errors.compactMap { $0["line"] as? Int }.sorted() == [2, 3, 5])
            for error in errors {
                #expect(error["file"] as? String == path)
                #expect((error["column"] as? Int ?? 0) > 0)
                #expect(["message", "remedy"].allSatisfy { (error[$0] as? String)?.isEmpty == false })
            }
            #expect(try ounce("check", "--json", profiles[0]).json["ok"] as? Bool == true)
            #expect(try ounce("check", folder.file("missing.yaml")).status == 78)
        }

        @Test func evaluate() throws {
            let result = try ounce("eval", Vibration.model, "--data", Vibration.validation, "--json")
            #expect(result.status == 0, "\(result.error)")
            #expect(result.json["metric"] as? String == "top1")
            // The float model was made to lie between these.
            let value = try #require(result.json["value"] as? Double)
            #expect((0.95...0.995).contains(value))
            #expect((result.json["samples"] as? Int ?? 0) >= 100)
            let limited = try ounce("eval", Vibration.model, "--data", Vibration.validation, "--json", "--limit", "7")
            #expect(limited.json["samples"] as? Int == 7)

            // Labels that are the model's own answers, and their opposites.
            let folder = try Folder()
            let samples = Vibration.samples(6, seed: 10)
            let answers = try inferred(Vibration.model, samples).floats
            let best = (0..<6).map { sample -> Int64 in
                let row = answers[(sample * 4)..<(sample * 4 + 4)]
                return Int64((row.firstIndex(of: row.max() ?? 0) ?? 0) - sample * 4)
            }
            for wrong in 0...3 {
                let labels = best.enumerated().map { $0 < wrong ? ($1 + 1) % 4 : $1 }
                let data = NumPyArchive.encoded([(Vibration.input, samples), ("labels", NumPyArray(labels: labels))])
                let path = try folder.write(data, to: "data.npz")
                let counted = try ounce("eval", Vibration.model, "--data", path, "--metric", "top1", "--json")
                #expect(abs((counted.json["value"] as? Double ?? -1) - Double(6 - wrong) / 6) < 1e-9)
            }
            let same = try ounce(
                "eval", Vibration.artifact("none"), "--data", folder.file("data.npz"), "--metric", "fidelity",
                "--reference", Vibration.model, "--json")
            #expect(same.status == 0, "\(same.error)")
            #expect(same.json["metric"] as? String == "fidelity")
            let metric = try ounce("eval", Vibration.model, "--data", Vibration.validation, "--metric", "luck")
            #expect(metric.status == 64)
        }

        @Test func bench() throws {
            let result = try ounce("bench", Vibration.artifact("int8"), "--seconds", "0.05", "--layers", "--json")
            #expect(result.status == 0, "\(result.error)")
            let times = ["p10_ms", "median_ms", "p90_ms"].compactMap { result.json[$0] as? Double }
            #expect(times.count == 3 && times[0] > 0 && times == times.sorted(), "\(times)")
            #expect(result.json["threads"] as? Int == 1)
            let layers = result.json["layers"] as? [[String: Any]] ?? []
            #expect(!layers.isEmpty && layers.allSatisfy { ($0["kernel"] as? String)?.isEmpty == false })
            #expect(abs(layers.reduce(0) { $0 + ($1["share"] as? Double ?? 0) } - 1) < 1e-6)
            for layer in layers {
                #expect((layer["bytes"] as? Int ?? 0) > 0)
                if let share = layer["of_limit"] as? Double { #expect(share > 0 && share <= 1) }
            }
            let machine = result.json["machine"] as? [String: Any] ?? [:]
            #expect((machine["read_gb_s"] as? Double ?? 0) > 0)
            #expect(try ounce("bench", Vibration.model, "--threads", "0").status == 64)
        }

        /// The protocol of comparisons with other engines: a line about loading, then one for each line of seconds.
        @Test func benchWorker() throws {
            let folder = try Folder()
            let input = try folder.write(Vibration.samples(1, seed: 3).encoded, to: "x.npy")
            let model = try Vibration.artifact("int8")
            let reference = folder.file("y.npy")
            #expect(try ounce("infer", Vibration.model, "--input", input, "--output", reference).status == 0)
            let command =
                "printf '0.01\\n0.02\\n' | '\(Programs.ounce)' bench --worker '\(model)' --input '\(input)' "
                + "--reference '\(reference)' --threads 1"
            let lines = try run("/bin/sh", ["-c", command]).text.split(separator: "\n").map { Data($0.utf8) }
            #expect(lines.count == 3)
            let loading = try JSONSerialization.jsonObject(with: lines[0]) as? [String: Any] ?? [:]
            for key in ["load_ms", "first_ms", "import_rss_kib", "peak_rss_kib", "error"] {
                #expect((loading[key] as? Double ?? -1) >= 0, "\(key)")
            }
            #expect((loading["error"] as? Double ?? 1) < 0.2)
            #expect((loading["kernels"] as? [String: Int])?.isEmpty == false)
            for line in lines.dropFirst() {
                let answer = try JSONSerialization.jsonObject(with: line) as? [Any] ?? []
                #expect(((answer.first as? [Int])?.count ?? 0) >= 2 && (answer.last as? Double ?? 0) > 0)
            }
        }

        @Test func infer() throws {
            let folder = try Folder()
            let samples = Vibration.samples(5, seed: 11)
            let one = try folder.write(samples.encoded, to: "x.npy")
            let many = try folder.write(NumPyArchive.encoded([(Vibration.input, samples)]), to: "x.npz")
            let model = try Vibration.artifact("int8")
            var results: [Data] = []
            for (index, arguments) in [[one, "--threads", "1"], [many], [many, "--threads", "2"]].enumerated() {
                let output = folder.file("y\(index).npy")
                let result = try run(
                    Programs.ounce, ["infer", model, "--output", output, "--json", "--input"] + arguments)
                #expect(result.status == 0, "\(result.error)")
                #expect(result.json["samples"] as? Int == 5)
                let array = try NumPyArray(contentsOf: output)
                #expect(array.shape == [5, 4] && array.descr == "<f4")
                #expect(array.floats.allSatisfy { $0.isFinite })
                results.append(array.bytes)
            }
            #expect(Set(results).count == 1)
            // An archive holds its outputs by name.
            #expect(try ounce("infer", model, "--input", one, "--output", folder.file("y.npz")).status == 0)
            #expect(try Data(contentsOf: URL(fileURLWithPath: folder.file("y.npz"))).starts(with: Data("PK".utf8)))

            let wrong = try folder.write(NumPyArray([1, 2, 3], shape: [1, 3]).encoded, to: "wrong.npy")
            let refused = try ounce("infer", model, "--input", wrong, "--output", folder.file("none.npy"))
            #expect(refused.status == 1)
            #expect(refused.error.contains("wrong.npy") && refused.error.contains("3,256"), "\(refused.error)")
            #expect(!FileManager.default.fileExists(atPath: folder.file("none.npy")))
        }

        @Test func inspect() throws {
            for file in [Vibration.model, try Vibration.artifact("int8"), try Vibration.artifact("none")] {
                let result = try ounce("inspect", file, "--json")
                #expect(result.status == 0, "\(result.error)")
                let input = (result.json["inputs"] as? [[String: Any]])?.first
                #expect(input?["name"] as? String == Vibration.input)
                let layers = result.json["layers"] as? [[String: Any]] ?? []
                #expect(!layers.isEmpty)
                for key in ["parameters", "macs", "bytes"] {
                    let sum = layers.reduce(0) { $0 + ($1[key] as? Int ?? 0) }
                    #expect(sum > 0 && result.json[key] as? Int == sum, "\(key)")
                }
                let isArtifact = file.hasSuffix(".ounce")
                #expect((result.json["provenance"] != nil) == isArtifact)
                #expect(try ounce("inspect", file).text.contains("MACs"))
            }
            let float = try ounce("inspect", Vibration.artifact("none"), "--json").json["bytes"] as? Int ?? 0
            let int8 = try ounce("inspect", Vibration.artifact("int8"), "--json").json["bytes"] as? Int ?? 0
            #expect(int8 * 3 < float)
        }

        /// What compress cannot use is named, and an artifact that was there stays as it was.
        @Test func compressRefuses() throws {
            let folder = try Folder()
            let output = try folder.write("what was there", to: "out.ounce")
            let garbage = try folder.write("garbage", to: "garbage.bin")
            let empty = try folder.write("", to: "empty.bin")
            let profile = try folder.write("name: x\ncores: many\n", to: "profile.yaml")
            let recipe = try folder.write("name: x\nsteps: [fly]\n", to: "recipe.yaml")
            let int8 = ["--recipe", "int8", "--calibration"]
            let cases: [(arguments: [String], named: String)] =
                [
                    [folder.file("missing.onnx")], [garbage], [empty], [folder.path],
                ].map { ($0, $0[0]) }
                + [folder.file("missing.npz"), garbage, empty, folder.path].flatMap { data in
                    [([Vibration.model] + int8 + [data], data), ([Vibration.model, "--validation", data], data)]
                }
                + [
                    ([Vibration.model, "--profile", profile], profile + ":2:"),
                    ([Vibration.model, "--profile", folder.file("missing.yaml")], "missing.yaml"),
                    ([Vibration.model, "--profile", "no-such-board"], "no-such-board"),
                    ([Vibration.model, "--recipe", recipe], recipe + ":2:"),
                    ([Vibration.model, "--recipe", "no-such-recipe"], "no-such-recipe"),
                ]
            for (arguments, named) in cases {
                let result = try run(Programs.ounce, ["compress", "--output", output] + arguments)
                #expect(result.signal == nil && result.status != 0, "\(arguments)")
                #expect(result.error.contains(named), "\(arguments): \(result.error)")
                #expect(try String(contentsOfFile: output, encoding: .utf8) == "what was there")
            }
            let nowhere = folder.file("nowhere/out.ounce")
            let result = try ounce("compress", Vibration.model, "--recipe", "none", "--output", nowhere)
            #expect(result.status == 1)
            #expect(result.error.contains("nowhere"), "\(result.error)")
            #expect(folder.names.count == 5, "\(folder.names)")
        }
    }
}
