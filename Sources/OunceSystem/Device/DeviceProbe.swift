import Glibc

/// What the machine has, as this process may use it.
package struct DeviceProbe: Sendable, Hashable {
    /// Ids of the CPUs that are online and that this process may run on, ascending; never empty.
    package let cpus: [Int]
    /// Bytes of memory: the machine's, or the cgroup's limit where that is less. 0: unknown.
    package let memoryBytes: Int
    /// The CPU's or board's name; "unknown CPU" where nothing tells it.
    package let cpuModel: String

    /// By CPU id, how fast each is against the fastest, 1024 (`cpu_capacity`, set on ARM); empty where they are all alike.
    private let capacities: [Int: Int]

    package var onlineCores: Int { cpus.count }

    /// The CPUs for so many threads where some are faster than others (big.LITTLE): the fastest. nil: any will do.
    package func fastest(_ threads: Int) -> [Int]? {
        guard !capacities.isEmpty, threads < cpus.count else { return nil }
        let ordered = cpus.sorted { (-(capacities[$0] ?? 0), $0) < (-(capacities[$1] ?? 0), $1) }
        return ordered.prefix(max(threads, 1)).sorted()
    }

    /// - Parameter root: the folder in which `proc` and `sys` are; another than "" for tests.
    package init(root: String = "") {
        func read(_ path: String) -> String? { SmallFile.read(root + path) }
        let allowed = Self.field("Cpus_allowed_list", of: read("/proc/self/status")).map(Self.cpuList) ?? []
        let online = Self.cpuList(read("/sys/devices/system/cpu/online") ?? "")
        let usable = allowed.isEmpty ? online : online.isEmpty ? allowed : allowed.filter(Set(online).contains)
        cpus = usable.isEmpty ? [0] : usable
        var capacities: [Int: Int] = [:]
        for cpu in cpus {
            capacities[cpu] = read("/sys/devices/system/cpu/cpu\(cpu)/cpu_capacity").flatMap { Int(Self.printable($0)) }
        }
        self.capacities = Set(capacities.values).count > 1 ? capacities : [:]

        var memory = Self.kibibytes(Self.field("MemTotal", of: read("/proc/meminfo")))
        // Under ProcSubset=pid /proc/meminfo is hidden; the call still works.
        if memory == nil, root.isEmpty { memory = sysconf(Int32(_SC_PHYS_PAGES)) * sysconf(Int32(_SC_PAGESIZE)) }
        let limits = Self.cgroupLimitFiles(read("/proc/self/cgroup") ?? "").compactMap { read($0).flatMap(Self.bytes) }
        memoryBytes = (limits + [memory].compactMap(\.self)).min() ?? 0

        let cpuinfo = read("/proc/cpuinfo")
        let names = [
            Self.field("model name", of: cpuinfo), Self.field("Model", of: cpuinfo),
            read("/proc/device-tree/model"), read("/sys/firmware/devicetree/base/model"),
            Self.field("uarch", of: cpuinfo),
        ]
        cpuModel = names.lazy.compactMap(\.self).map(Self.printable).first { !$0.isEmpty } ?? "unknown CPU"
    }

    /// Reads "0-3,6" (cpuset(7), list format).
    static func cpuList(_ text: String) -> [Int] {
        var cpus: Set<Int> = []
        for part in Self.printable(text).split(separator: ",") {
            let ends = part.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false).map { Int($0) }
            guard let first = ends.first.flatMap(\.self), let last = ends.last.flatMap(\.self),
                (0...last).contains(first), last < 4096
            else { continue }
            cpus.formUnion(first...last)
        }
        return cpus.sorted()
    }

    /// The limit files of this process' cgroup and of those around it, in version 2 and in version 1.
    private static func cgroupLimitFiles(_ text: String) -> [String] {
        var files: [String] = []
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3, !parts[2].split(separator: "/").contains("..") else { continue }
            if parts[1].split(separator: ",").contains("memory") {
                files.append("/sys/fs/cgroup/memory\(parts[2])/memory.limit_in_bytes")
                files.append("/sys/fs/cgroup/memory/memory.limit_in_bytes")
            } else if parts[1].isEmpty {
                var folder = parts[2]
                while let slash = folder.lastIndex(of: "/"), files.count < 64 {
                    files.append("/sys/fs/cgroup\(folder == "/" ? "" : folder)/memory.max")
                    folder = folder[..<slash]
                }
            }
        }
        return files
    }

    /// What stands behind `name:` in a file of /proc.
    static func field(_ name: String, of text: String?) -> String? {
        guard let text else { return nil }
        for line in text.utf8.split(separator: UInt8(ascii: "\n")) {
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")),
                line[..<colon].drop(while: { $0 <= 32 }).starts(with: name.utf8),
                printable(Substring(line[..<colon])) == name
            else { continue }
            return printable(Substring(line[line.index(after: colon)...]))
        }
        return nil
    }

    /// Bytes of "12 kB".
    static func kibibytes(_ text: String?) -> Int? {
        guard let number = text?.split(separator: " ").first.flatMap({ Int($0) }), number > 0 else { return nil }
        return number.multipliedReportingOverflow(by: 1024).overflow ? nil : number * 1024
    }

    /// nil for "max".
    private static func bytes(_ text: String) -> Int? { Int(printable(text)).flatMap { $0 > 0 ? $0 : nil } }

    /// Without control characters and the spaces at both ends.
    private static func printable(_ text: some StringProtocol) -> String {
        let scalars = text.unicodeScalars.map { $0.value < 32 || $0.value == 127 ? " " : $0 }
        let trimmed = scalars.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed()
        return String(String.UnicodeScalarView(trimmed))
    }
}
