import Foundation
import Glibc
import Testing

extension EndToEndTests {
    /// `kill -9` of `ounce compress` leaves no half artifact and no growing litter.
    @Suite(.serialized) struct KillTests {
        private func start(_ output: String) throws -> RunningProgram {
            try RunningProgram(
                Programs.ounce,
                [
                    "compress", Vibration.model, "--recipe", "int8-weights", "--calibration", Vibration.calibration,
                    "--output", output,
                ])
        }

        @Test func atAnyMoment() throws {
            let seed: UInt64 = 9
            var random = Random(seed: seed)
            let folder = try Folder()
            let output = folder.file("v.ounce")
            let clock = ContinuousClock()
            let begin = clock.now
            #expect(try start(output).wait().status == 0)
            let whole = clock.now - begin
            unlink(output)
            var finished = 0
            for round in 0..<16 {
                let running = try start(output)
                usleep(useconds_t((whole * Double.random(in: 0...1.3, using: &random)) / .microseconds(1)))
                running.send(SIGKILL)
                _ = try running.wait()
                if FileManager.default.fileExists(atPath: output) {
                    finished += 1
                    let inspected = try ounce("inspect", output)
                    #expect(inspected.status == 0, "seed \(seed), round \(round): \(inspected.error)")
                }
                #expect(folder.names.count <= 2, "seed \(seed), round \(round): \(folder.names)")
            }
            print("\(finished) of 16 killed runs found an artifact")
        }

        /// The worst moment: the temporary file is there, its rename is not done.
        @Test func whileWriting() throws {
            let folder = try Folder()
            let output = folder.file("v.ounce")
            let old = try Data(contentsOf: URL(fileURLWithPath: Vibration.artifact("int8")))
            var caught = 0
            for _ in 0..<6 {
                try folder.write(old, to: "v.ounce")
                let before = folder.names
                let running = try start(output)
                while running.isRunning, folder.names == before {}
                running.send(SIGKILL)
                _ = try running.wait()
                if folder.names.count > 1 { caught += 1 }
                let found = try Data(contentsOf: URL(fileURLWithPath: output))
                if found != old { #expect(try ounce("inspect", output).status == 0) }
                #expect(folder.names.count <= 2, "\(folder.names)")
            }
            print("\(caught) of 6 runs were killed between the temporary file and its rename")
            // The next whole run takes the litter away, whoever's it was; what a living process writes stays.
            for name in ["4999999", "4999998"] { try folder.write("half", to: ".v.ounce.\(name).tmp") }
            let alive = ".v.ounce.\(getpid()).tmp"
            let stranger = ".other.ounce.4999999.tmp"
            for name in [alive, stranger] { try folder.write("half", to: name) }
            #expect(try start(output).wait().status == 0)
            #expect(folder.names == [stranger, alive, "v.ounce"].sorted())
        }
    }
}
