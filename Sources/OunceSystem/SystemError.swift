import Glibc

/// What the operating system refused, where, and how to mend it.
package struct SystemError: Error, Sendable, CustomStringConvertible {
    package enum Code: Sendable, Hashable {
        /// A call failed; `errno` says why.
        case call
        /// An inherited descriptor is not what the unit file promises.
        case inheritedSocket
        /// A child process could not be started.
        case spawn
    }
    package let code: Code
    package let message: String
    /// 0 where no call failed.
    package let errno: Int32

    package init(_ code: Code, _ message: String, errno: Int32 = 0) {
        self.code = code
        self.message = errno == 0 ? message : "\(message): \(describe(errno: errno))"
        self.errno = errno
    }

    package var description: String { message }
}

/// The system's sentence for an error number.
package func describe(errno number: Int32) -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
        guard let base = buffer.baseAddress, strerror_r(number, base, buffer.count) == 0 else {
            return "error \(number)"
        }
        return String(cString: base)
    }
}
