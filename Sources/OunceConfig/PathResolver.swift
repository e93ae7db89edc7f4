import Glibc

/// Turns paths in a configuration file into paths that can be opened.
struct PathResolver {
    /// The directory of the file that names them.
    let base: String
    /// Where relative paths that are not found there are looked for, in this order.
    let shareDirectories: [String]

    init(file: String, shareDirectories: [String]) {
        base = Self.directory(of: file)
        self.shareDirectories = shareDirectories
    }

    /// A relative path is beside the file that names it.
    func beside(_ path: String) -> String { Self.join(base, path) }

    /// As `beside`, or in the first share directory that has it where nothing is beside the file.
    func find(_ path: String) -> String {
        let here = beside(path)
        guard !path.hasPrefix("/"), !Self.exists(here) else { return here }
        return shareDirectories.map { Self.join($0, path) }.first(where: Self.exists) ?? here
    }

    static func directory(of path: String) -> String {
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    static func join(_ directory: String, _ path: String) -> String {
        if path.hasPrefix("/") { return path }
        var path = Substring(path)
        while path.hasPrefix("./") { path = path.dropFirst(2) }
        if directory == "." { return String(path) }
        return directory + (directory.hasSuffix("/") ? "" : "/") + path
    }

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }
}
