import Glibc

/// Replaces a file as a whole: a reader sees the old content or the new one, never a part.
enum FileOutput {
    static func replace(path: String, with chunks: [UnsafeRawBufferPointer]) throws(FormatError) {
        let temporary = "\(path).\(getpid()).\(UInt32.random(in: 0 ... .max)).tmp"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw FormatError(.io, "\(temporary): cannot be made: \(FileInput.lastError())")
        }
        do {
            defer { close(descriptor) }
            for chunk in chunks {
                guard write(chunk, to: descriptor) else { throw failure(temporary) }
            }
            guard fsync(descriptor) == 0 else { throw failure(temporary) }
        }
        guard rename(temporary, path) == 0 else { throw failure(temporary) }
    }

    private static func failure(_ temporary: String) -> FormatError {
        let reason = FileInput.lastError()
        unlink(temporary)
        return FormatError(.io, "\(temporary): cannot be written: \(reason)")
    }

    private static func write(_ chunk: UnsafeRawBufferPointer, to descriptor: Int32) -> Bool {
        var rest = chunk
        while !rest.isEmpty {
            let written = Glibc.write(descriptor, rest.baseAddress, rest.count)
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { return false }
            rest = UnsafeRawBufferPointer(rebasing: rest[written...])
        }
        return true
    }
}
