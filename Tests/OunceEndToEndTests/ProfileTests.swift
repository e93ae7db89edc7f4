import Foundation
import Testing

extension EndToEndTests {
    /// The device profile limits what runs.
    @Suite(.serialized) struct ProfileTests {
        private func profile(
            _ folder: Folder, cores: String = "auto", memory: String = "256MiB", simd: String = "auto"
        ) throws -> String {
            let text = "name: limited\ncores: \(cores)\nmemory: \(memory)\nsimd: \(simd)\n"
            return try folder.write(text, to: "profile.yaml")
        }

        private func kernels(_ file: String, profile: String? = nil, isa: String? = nil) throws -> [String] {
            let result = try run(
                Programs.ounce,
                ["bench", file, "--layers", "--json", "--seconds", "0.01", "--tune", "0"]
                    + (profile.map { ["--profile", $0] } ?? []),
                isa.map { ["OUNCE_ISA": $0] } ?? [:])
            #expect(result.status == 0, "\(result.error)")
            return (result.json["layers"] as? [[String: Any]] ?? []).compactMap { $0["kernel"] as? String }
        }

        private var available: [String] {
            get throws { try ounce("device", "--json").json["instruction_sets"] as? [String] ?? [] }
        }

        @Test(arguments: ["int8", "none"]) func widthZeroIsScalar(recipe: String) throws {
            let folder = try Folder()
            let file = try Vibration.artifact(recipe)
            let limited = try kernels(file, profile: try profile(folder, simd: "{width: 0}"))
            #expect(!limited.isEmpty)
            #expect(limited.allSatisfy { $0.hasSuffix("_scalar") }, "\(limited)")
            // Where there are vectors, they are used without the limit: the limit is what made the difference.
            guard try available.count > 1 else { return print("skipped: this CPU has no vector instructions to limit") }
            let free = try kernels(file)
            #expect(free.contains { !$0.hasSuffix("_scalar") }, "\(free)")
        }

        @Test func features() throws {
            guard try available.contains("avx2") else { return print("skipped: this CPU has no AVX2") }
            let folder = try Folder()
            let file = try Vibration.artifact("int8")
            let limited = try kernels(file, profile: try profile(folder, simd: "{features: [avx2]}"))
            #expect(
                limited.contains { $0.hasSuffix("_avx2") } && !limited.contains { $0.contains("avx512") }, "\(limited)")
            let narrow = try kernels(file, profile: try profile(folder, simd: "{width: 256}"))
            #expect(!narrow.contains { $0.contains("avx512") }, "\(narrow)")
        }

        @Test func coresLimitThreads() throws {
            let folder = try Folder()
            let one = try profile(folder, cores: "1")
            let file = try Vibration.artifact("none")
            let bench = try ounce(
                "bench", file, "--threads", "8", "--profile", one, "--json", "--seconds", "0.01")
            #expect(bench.json["threads"] as? Int == 1)
            #expect(try ounce("device", "--profile", one, "--json").json["threads"] as? Int == 1)
        }

        @Test func memoryTooSmall() throws {
            let folder = try Folder()
            let tiny = try profile(folder, memory: "64KiB")
            let samples = try folder.write(Vibration.samples(1, seed: 1).encoded, to: "x.npy")
            let file = try Vibration.artifact("none")
            for command in [["bench"], ["infer", "--input", samples, "--output", folder.file("y.npy")]] {
                let result = try run(Programs.ounce, command + [file, "--profile", tiny])
                #expect(result.status == 1)
                #expect(result.error.contains("memory") && result.error.contains("65536"), "\(result.error)")
            }
            let compress = try ounce(
                "compress", Vibration.model, "--profile", tiny, "--output", folder.file("z.ounce"))
            #expect(compress.status == 1)
            #expect(compress.error.contains("memory"), "\(compress.error)")
            #expect(!folder.names.contains("z.ounce"))

            // The daemon refuses it and goes on.
            let yaml = TestDaemon.yaml(folder, ["  - {name: large, artifact: \(file)}"])
            try folder.write(yaml.replacingOccurrences(of: "256MiB", with: "64KiB"), to: "ounce.yaml")
            let daemon = try TestDaemon(folder: folder)
            try daemon.waitUntilSettled()
            let large = try daemon.model("large")
            #expect(large["state"] as? String == "failed")
            #expect((large["reason"] as? String)?.contains("memory") == true)
            #expect(try daemon.stop().status == 0)
        }

        @Test(arguments: ["int8", "int8-weights", "none"]) func sameBitsOnEveryInstructionSet(recipe: String) throws {
            let samples = Vibration.samples(16, seed: 13)
            let file = try Vibration.artifact(recipe)
            let scalar = try inferred(file, samples, variables: ["OUNCE_ISA": "scalar"])
            #expect(Set(scalar.floats).count > 16)
            for isa in try available where isa != "scalar" {
                #expect(try inferred(file, samples, variables: ["OUNCE_ISA": isa]) == scalar, "\(isa)")
            }
            #expect(try kernels(file, isa: "scalar").allSatisfy { $0.hasSuffix("_scalar") })
            #expect(try inferred(file, samples) == scalar)
            let unknown = try ounce("bench", file, variables: ["OUNCE_ISA": "mmx"])
            #expect(unknown.status == 1)
            #expect(unknown.error.contains("mmx") && unknown.error.contains("scalar"), "\(unknown.error)")
        }

        /// The daemon's answers on one instruction set are those of another, and its status says which profile it has.
        @Test func daemonOnScalar() throws {
            let file = try Vibration.artifact("int8")
            let daemon = try TestDaemon(
                models: ["  - {name: vibration, artifact: \(file)}"], variables: ["OUNCE_ISA": "scalar"])
            try daemon.waitUntilSettled()
            let samples = Vibration.samples(1, seed: 14)
            let reply = try daemon.curl("/v2/models/vibration/infer", body: InferRequest.json(Vibration.input, samples))
            #expect(reply.floats == (try inferred(file, samples)).floats)
            #expect(try daemon.stop().status == 0)
        }
    }
}
