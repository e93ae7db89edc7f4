import Glibc
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

    /// - Parameter tuning: seconds to measure kernels; 0: the table's order decides.
    static func options(_ profile: DeviceProfile, threads: Int?, tuning: Double = 1) -> RuntimeOptions {
        let allowed = profile.maxThreads(onlineCPUs: probe.onlineCores)
        let threads = max(1, min(threads ?? allowed, allowed))
        if let fast = probe.fastest(threads), !profile.namesCPUs { try? Affinity.set(fast) }
        return RuntimeOptions(
            allowedISAs: profile.allowedISAs, threads: threads,
            memoryLimit: profile.memory.bytes(ofTotal: probe.memoryBytes),
            selection: tuning > 0 ? .measured(seconds: tuning, cacheDirectory: kernelCache) : .tableOrder)
    }

    /// Where measured kernel times are kept: the folder `OUNCE_KERNEL_CACHE`, else that of this user's caches; nil: nowhere.
    private static var kernelCache: String? {
        func folder(_ variable: String) -> String? {
            getenv(variable).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
        }
        if let own = getenv("OUNCE_KERNEL_CACHE") { return own.pointee == 0 ? nil : String(cString: own) }
        guard let caches = folder("XDG_CACHE_HOME") ?? folder("HOME").map({ $0 + "/.cache" }) else { return nil }
        mkdir(caches, 0o700)
        mkdir(caches + "/ounce", 0o700)
        return caches + "/ounce"
    }
}
