import Glibc

/// Files that are seen whole or not at all, also after a power cut.
package enum AtomicFile {
    /// Writes to a temporary file in the same folder, syncs it, renames it over `path` and syncs the folder.
    ///
    /// What processes that were killed while they wrote `path` left behind is removed first.
    package static func write(_ bytes: [UInt8], to path: String, mode: mode_t = 0o644) throws(SystemError) {
        try write(to: path, mode: mode) { (put) throws(SystemError) in try put(bytes[...]) }
    }

    /// The same with bytes that come piece by piece: nothing is left of them where `fill` throws.
    package static func write(
        to path: String, mode: mode_t,
        _ fill: (_ put: (ArraySlice<UInt8>) throws(SystemError) -> Void) throws(SystemError) -> Void
    ) throws(SystemError) {
        let parts = split(path)
        removeAbandoned(in: parts.folder, name: parts.name)
        let temporary = "\(parts.folder)/.\(parts.name).\(getpid()).tmp"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode)
        guard descriptor >= 0 else { throw SystemError(.call, "cannot create '\(temporary)'", errno: errno) }
        do throws(SystemError) {
            defer { close(descriptor) }
            try fill { (bytes) throws(SystemError) in try writeAll(bytes, to: descriptor, path: temporary) }
            guard fchmod(descriptor, mode) == 0, fsync(descriptor) == 0 else {
                throw SystemError(.call, "cannot sync '\(temporary)'", errno: errno)
            }
        } catch {
            unlink(temporary)
            throw error
        }
        guard rename(temporary, path) == 0 else {
            let failure = SystemError(.call, "cannot rename '\(temporary)' to '\(path)'", errno: errno)
            unlink(temporary)
            throw failure
        }
        try syncFolder(parts.folder)
    }

    /// Makes a rename or removal in `folder` survive a power cut.
    package static func syncFolder(_ folder: String) throws(SystemError) {
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw SystemError(.call, "cannot open folder '\(folder)'", errno: errno) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw SystemError(.call, "cannot sync folder '\(folder)'", errno: errno) }
    }

    /// Removes temporary files for `name` whose process is gone. One with the number of this process is what a killed
    /// process of that number left, since no two threads write the same path at once.
    private static func removeAbandoned(in folder: String, name: Substring) {
        guard let handle = opendir(folder) else { return }
        defer { closedir(handle) }
        while let entry = readdir(handle) {
            let found = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard found.hasPrefix(".\(name)."), found.hasSuffix(".tmp"),
                let process = pid_t(found.dropFirst(name.count + 2).dropLast(4)), process > 0
            else { continue }
            if process == getpid() || (kill(process, 0) != 0 && errno == ESRCH) { unlink("\(folder)/\(found)") }
        }
    }

    private static func writeAll(_ bytes: ArraySlice<UInt8>, to descriptor: Int32, path: String) throws(SystemError) {
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress?.advanced(by: written), $0.count - written)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw SystemError(.call, "cannot write '\(path)'", errno: errno) }
            written += count
        }
    }

    private static func split(_ path: String) -> (folder: String, name: Substring) {
        guard let slash = path.lastIndex(of: "/") else { return (".", path[...]) }
        return (slash == path.startIndex ? "/" : String(path[..<slash]), path[path.index(after: slash)...])
    }
}
