import Glibc

enum DirectoryListing {
    /// Names, sorted, of what is in a directory and ends in `suffix`; hidden files are left out.
    static func files(in directory: String, suffix: String, limit: Int) -> Result<[String], ConfigFile.ReadFailure> {
        guard let stream = opendir(directory) else { return .failure(ConfigFile.ReadFailure(errno: errno)) }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: pointer.pointee)) {
                    String(cString: $0)
                }
            }
            guard name.hasSuffix(suffix), !name.hasPrefix(".") else { continue }
            guard names.count < limit else {
                return .failure(ConfigFile.ReadFailure("more than \(limit) files", "keep only what is needed there"))
            }
            names.append(name)
        }
        return .success(names.sorted())
    }
}
