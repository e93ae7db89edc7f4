import OunceConfig
import OunceRuntime
import OunceSystem

/// This machine, and the configuration that is shipped for it.
enum Device {
    static let probe = DeviceProbe()

    static var loader: ConfigLoader { ConfigLoader(shareDirectories: InstalledFiles.shareDirectories) }

    /// A profile by name or path; `auto` needs no file.
    static func profile(_ name: String?) throws -> DeviceProfile {
        guard let name, name != "auto" else { return DeviceProfile() }
        let profile = try loader.profile(name)
        // A profile of another board may name CPUs that are not here: then all of these serve.
        if case .cpus(let ids) = profile.cores { try? Affinity.set(ids) }
        return profile
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
