/// Resident memory of this process, as the kernel counts it (proc(5), `VmRSS` and `VmHWM`).
package enum MemoryProbe {
    /// In KiB; 0 where `/proc` does not tell.
    package static var residentKiB: Int { field("VmRSS:") }

    /// The most that it ever was, in KiB; 0 where `/proc` does not tell.
    package static var peakResidentKiB: Int { field("VmHWM:") }

    private static func field(_ name: String) -> Int {
        let lines = SmallFile.read("/proc/self/status")?.split(separator: "\n") ?? []
        let fields = lines.first { $0.hasPrefix(name) }?.split(whereSeparator: { $0 == " " || $0 == "\t" }) ?? []
        return fields.dropFirst().first.flatMap { Int(String($0)) } ?? 0
    }
}
