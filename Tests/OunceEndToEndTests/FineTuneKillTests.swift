import Foundation
import Glibc
import Testing

extension EndToEndTests {
    /// Fine-tuning goes on where `kill -9` ended it, and ends with the same bits.
    @Suite(.serialized) struct FineTuneKillTests {
        @Test(arguments: [
            "fine_tune: {epochs: 50, loss: cross_entropy, learning_rate: 0.001, schedule: constant}",
            "quantize: {weights: int8, fine_tune: {epochs: 12, loss: cross_entropy, learning_rate: 0.001}}",
        ])
        func resumes(step: String) throws {
            let seed: UInt64 = 21
            var random = Random(seed: seed)
            let folder = try Folder()
            let recipe = try folder.write("{name: tune, steps: [\(step)]}", to: "tune.yaml")
            func start(_ output: String) throws -> RunningProgram {
                try RunningProgram(
                    Programs.ounce,
                    [
                        "compress", Vibration.model, "--recipe", recipe, "--data", Vibration.validation,
                        "--calibration", Vibration.calibration, "--threads", "1", "--output", output,
                    ])
            }
            let clock = ContinuousClock()
            let begin = clock.now
            let whole = folder.file("whole.ounce")
            #expect(try start(whole).wait(timeout: 300).status == 0)
            let duration = (clock.now - begin) / .microseconds(1)
            let output = folder.file("killed.ounce")
            let checkpoint = output + ".tune-1.checkpoint"
            var kept = 0
            for _ in 0..<3 {
                let running = try start(output)
                usleep(useconds_t(duration * Double.random(in: 0.3...0.6, using: &random)))
                running.send(SIGKILL)
                _ = try running.wait()
                if FileManager.default.fileExists(atPath: checkpoint) { kept += 1 }
            }
            print("\(kept) of 3 killed runs left a checkpoint (the whole run takes \(Int(duration / 1000)) ms)")
            let ending = try start(output).wait(timeout: 300)
            #expect(ending.status == 0, "seed \(seed): \(ending.error)")
            let names = folder.names.filter { $0.contains("checkpoint") || $0.contains("tmp") }
            #expect(names.isEmpty, "left: \(names)")
            let samples = Vibration.samples(8, seed: 4)
            #expect(try inferred(output, samples).floats == (try inferred(whole, samples)).floats)
            #expect(try inferred(output, samples).floats != (try inferred(Vibration.model, samples)).floats)

            // A damaged checkpoint is said, not used.
            try Data("OUNCTRN1 and then nonsense".utf8).write(to: URL(fileURLWithPath: checkpoint))
            let refused = try start(output).wait(timeout: 300)
            #expect(refused.status == 1 && refused.error.contains("checkpoint"), "\(refused.error)")
        }
    }
}
