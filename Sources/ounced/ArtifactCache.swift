import Glibc
import OunceSystem

/// The state directory: `artifacts/KEY.ounce`, and `work/` for what a child is given to read.
struct ArtifactCache: Sendable {
    /// Artifacts that are kept though no model uses them, so that going back to an earlier recipe costs nothing.
    static let spares = 8

    let root: String

    /// - Throws: where the folders cannot be made.
    init(root: String) throws(SystemError) {
        self.root = root
        for folder in [root, root + "/artifacts", root + "/work"] {
            guard mkdir(folder, 0o700) == 0 || errno == EEXIST else {
                throw SystemError(.call, "cannot make the state folder '\(folder)'", errno: errno)
            }
        }
    }

    func path(of key: String) -> String { "\(root)/artifacts/\(key).ounce" }

    func exists(_ key: String) -> Bool { access(path(of: key), R_OK) == 0 }

    /// A fresh, empty folder below `work`.
    func workFolder(_ key: String) throws(SystemError) -> String {
        let folder = "\(root)/work/\(key)"
        removeWorkFolder(folder)
        for path in [folder, folder + "/recipes"] where mkdir(path, 0o700) != 0 {
            throw SystemError(.call, "cannot make '\(path)'", errno: errno)
        }
        return folder
    }

    func removeWorkFolder(_ folder: String) {
        for inner in [folder + "/recipes", folder] {
            for name in Self.names(in: inner) { unlink("\(inner)/\(name)") }
            rmdir(inner)
        }
    }

    /// Removes artifacts that no model uses, but for the newest few, and what an interrupted run left behind.
    func prune(keeping keys: Set<String>) {
        let folder = root + "/artifacts"
        var unused: [(path: String, modified: Int)] = []
        for name in Self.names(in: folder) {
            let path = "\(folder)/\(name)"
            guard name.hasSuffix(".ounce"), !name.hasPrefix(".") else {
                // A training that was cut short goes on from its checkpoint.
                let key = name.prefix { $0 != "." }
                if !name.hasSuffix(".checkpoint") || !keys.contains(String(key)) { unlink(path) }
                continue
            }
            var status = stat()
            guard !keys.contains(String(name.dropLast(6))), lstat(path, &status) == 0 else { continue }
            unused.append((path, Int(status.st_mtim.tv_sec)))
        }
        unused.sort { $0.modified > $1.modified }
        for (path, _) in unused.dropFirst(Self.spares) { unlink(path) }
    }

    private static func names(in folder: String) -> [String] {
        guard let handle = opendir(folder) else { return [] }
        defer { closedir(handle) }
        var names: [String] = []
        while let entry = readdir(handle) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }
}

enum FileSize {
    /// 0 where there is no such file.
    static func of(_ path: String) -> Int {
        var status = stat()
        return stat(path, &status) == 0 ? Int(status.st_size) : 0
    }
}
