/// Resident memory of this process, as the kernel counts it (proc(5), `VmRSS` and `VmHWM`).
package enum MemoryProbe {
    /// In KiB; 0 where `/proc` does not tell.
    package static var residentKiB: Int { kibibytes("VmRSS") }

    /// The most that it ever was, in KiB; 0 where `/proc` does not tell.
    package static var peakResidentKiB: Int { kibibytes("VmHWM") }

    private static func kibibytes(_ name: String) -> Int {
        (DeviceProbe.kibibytes(DeviceProbe.field(name, of: SmallFile.read("/proc/self/status"))) ?? 0) / 1024
    }
}
