import Glibc
import OunceConfig
import OunceRuntime
import OunceSystem

/// This machine and where Ounce's shipped files are on it.
enum Device {
    static let probe = DeviceProbe()

    /// Folders that may hold `profiles`, `recipes` and `models`: `$OUNCE_SHARE`, `../share/ounce` from this program,
    /// `/usr/share/ounce`.
    static var shareDirectories: [String] {
        let given = getenv("OUNCE_SHARE").map { [String(cString: $0)] } ?? []
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let length = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        var beside: [String] = []
        if length > 0 {
            let parts = String(decoding: buffer.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)
                .split(separator: "/").dropLast(2)
            beside = ["/" + parts.joined(separator: "/") + "/share/ounce"]
        }
        return given + beside + ["/usr/share/ounce"]
    }

    static var loader: ConfigLoader { ConfigLoader(shareDirectories: shareDirectories) }

    /// A profile by name or path; `auto` needs no file.
    static func profile(_ name: String?) throws -> DeviceProfile {
        guard let name, name != "auto" else { return DeviceProfile() }
        return try loader.profile(name)
    }

    /// The recipes that auto chooses among: the YAML files of a folder, or the shipped ones.
    static func recipes(in folder: String?) throws -> [Recipe] {
        try folder.map { try loader.recipes(in: $0) } ?? loader.shippedRecipes()
    }

    static func options(_ profile: DeviceProfile, threads: Int?) -> RuntimeOptions {
        let allowed = profile.maxThreads(onlineCPUs: probe.onlineCores)
        return RuntimeOptions(
            allowedISAs: profile.allowedISAs, threads: max(1, min(threads ?? allowed, allowed)),
            memoryLimit: profile.memory.bytes(ofTotal: probe.memoryBytes))
    }
}
