import Foundation
import Glibc

/// The built-in model and artifacts made of it once for the whole run.
enum Vibration {
    static let folder = Programs.root + "/Config/models"
    static let model = folder + "/vibration.onnx"
    static let calibration = folder + "/vibration-calibration.npz"
    static let validation = folder + "/vibration-validation.npz"
    static let input = "accelerometer"
    static let sampleShape = [1, 3, 256]

    /// Kept for the run.
    private static let made: Result<Folder, any Error> = Result {
        atexit {
            if let folder = try? Vibration.made.get() { try? FileManager.default.removeItem(atPath: folder.path) }
        }
        return try Folder()
    }

    private static let artifacts: [String: Result<String, any Error>] = {
        var results: [String: Result<String, any Error>] = [:]
        for recipe in ["int8", "int8-weights", "none"] { results[recipe] = Result { try make(recipe) } }
        return results
    }()

    /// The path of an artifact by its recipe.
    static func artifact(_ recipe: String) throws -> String {
        guard let result = artifacts[recipe] else { throw TestFailure("there is no artifact for \(recipe)") }
        return try result.get()
    }

    private static func make(_ recipe: String) throws -> String {
        let output = try made.get().file("vibration-\(recipe).ounce")
        let ending = try ounce("compress", model, "--recipe", recipe, "--calibration", calibration, "--output", output)
        guard ending.status == 0 else { throw TestFailure("compress \(recipe): \(ending.error)") }
        return output
    }

    /// Samples between -1 and 1, the first axis the samples.
    static func samples(_ count: Int, seed: UInt64) -> NumPyArray {
        var random = Random(seed: seed)
        return NumPyArray(random.floats(count * 3 * 256), shape: [count, 3, 256])
    }

    /// A line of the settings.
    static func settings(name: String = "vibration", recipe: String, more: String = "") -> String {
        "  - {name: \(name), source: \(model), recipe: \(recipe), data: {calibration: \(calibration)}\(more)}"
    }
}

/// What `ounce infer` gives for samples: the outputs that every other way must match.
func inferred(_ file: String, _ samples: NumPyArray, variables: [String: String] = [:]) throws -> NumPyArray {
    let folder = try Folder()
    let input = try folder.write(samples.encoded, to: "x.npy")
    let output = folder.file("y.npy")
    let ending = try ounce("infer", file, "--input", input, "--output", output, variables: variables)
    guard ending.status == 0 else { throw TestFailure("infer \(file): \(ending.error)") }
    return try NumPyArray(contentsOf: output)
}

/// The shared models and data, where they are.
enum SharedData {
    static let folder: String? = {
        let given = ProcessInfo.processInfo.environment["OUNCE_SHARED_DATA"]
        let path = given ?? URL(fileURLWithPath: Programs.root + "/../shared/data").standardized.path
        return FileManager.default.fileExists(atPath: path + "/manifest.json") ? path : nil
    }()
}
