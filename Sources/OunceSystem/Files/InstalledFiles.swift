import Glibc

/// Where Ounce's programs and shipped files are on this machine.
package enum InstalledFiles {
    /// The path of this program; nil where /proc is not there.
    package static var executable: String? {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let length = readlink("/proc/self/exe", &buffer, buffer.count)
        return length > 0 ? String(decoding: buffer.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self) : nil
    }

    /// Folders that may hold `profiles`, `recipes` and `models`: `$OUNCE_SHARE`, `../share/ounce` from this program,
    /// `/usr/share/ounce`.
    package static var shareDirectories: [String] {
        let given = getenv("OUNCE_SHARE").map { [String(cString: $0)] } ?? []
        let parts = executable?.split(separator: "/").dropLast(2)
        let beside = parts.map { ["/" + ($0 + ["share", "ounce"]).joined(separator: "/")] } ?? []
        return given + beside + ["/usr/share/ounce"]
    }

    /// The path of another of Ounce's programs: beside this one, else in `$PATH`; nil where it is in neither.
    package static func program(_ name: String) -> String? {
        var folders: [String] = []
        if let executable, let slash = executable.lastIndex(of: "/") { folders.append(String(executable[..<slash])) }
        let path = getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"
        folders += path.split(separator: ":").map(String.init)
        return folders.map { "\($0)/\(name)" }.first { access($0, X_OK) == 0 }
    }
}
