import CLinux
import Glibc

/// On which CPUs this process runs.
package enum Affinity {
    /// Keeps this thread, and those that it starts from now on, on `cpus`.
    ///
    /// - Throws: where none of them is there, or the system forbids it.
    package static func set(_ cpus: [Int]) throws(SystemError) {
        let ids = cpus.map { Int32(clamping: $0) }
        guard ounce_set_affinity(ids, Int32(ids.count)) == 0 else {
            throw SystemError(.call, "cannot keep to the CPUs \(cpus)", errno: errno)
        }
    }
}
