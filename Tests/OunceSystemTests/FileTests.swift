import Glibc
import Testing

@testable import OunceSystem

@Suite struct FileTests {
    @Test func writesWholeFilesWithTheirMode() throws {
        let folder = temporaryFolder()
        let path = folder + "/f"
        try AtomicFile.write(Array("one".utf8), to: path, mode: 0o640)
        try AtomicFile.write(Array("two".utf8), to: path, mode: 0o600)
        #expect(SmallFile.read(path) == "two")
        var status = stat()
        lstat(path, &status)
        #expect(status.st_mode & 0o777 == 0o600)
        #expect(names(folder) == ["f"])
    }

    @Test func leavesNothingBehindWhereItFails() throws {
        let folder = temporaryFolder()
        mkdir(folder + "/taken", 0o755)
        mkdir(folder + "/taken/inner", 0o755)
        #expect(throws: SystemError.self) { try AtomicFile.write([1], to: folder + "/taken") }
        #expect(names(folder) == ["taken"])
        #expect(throws: SystemError.self) { try AtomicFile.write([1], to: folder + "/none/f") }
    }

    /// Temporary files of processes that are gone are removed, this process' number included; those of living ones stay.
    @Test func removesWhatKilledWritersLeft() throws {
        let folder = temporaryFolder()
        // Past the largest process number that Linux gives (proc(5), pid_max).
        for name in [".f.4999999.tmp", ".f.\(getpid()).tmp", ".f.\(getppid()).tmp", ".g.4999999.tmp", ".f.x.tmp"] {
            try AtomicFile.write([1], to: folder + "/" + name)
        }
        try AtomicFile.write([2], to: folder + "/f")
        #expect(Set(names(folder)) == ["f", ".f.\(getppid()).tmp", ".g.4999999.tmp", ".f.x.tmp"])
    }

    @Test func readIsBounded() throws {
        #expect(SmallFile.read("/dev/zero", limit: 100)?.utf8.count == 100)
        #expect(SmallFile.read("/nowhere") == nil)
    }

    private func names(_ folder: String) -> [String] {
        guard let handle = opendir(folder) else { return [] }
        defer { closedir(handle) }
        var names: [String] = []
        while let entry = readdir(handle) {
            names.append(
                withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                })
        }
        return names.filter { $0 != "." && $0 != ".." }
    }
}

@Suite struct DeviceProbeTests {
    private func tree(_ files: [String: String]) throws -> String {
        let root = temporaryFolder()
        for (path, content) in files {
            var folder = root
            for part in path.split(separator: "/").dropLast() {
                folder += "/" + part
                mkdir(folder, 0o755)
            }
            try AtomicFile.write(Array(content.utf8), to: root + path)
        }
        return root
    }

    @Test func aBoard() throws {
        let probe = DeviceProbe(
            root: try tree([
                "/proc/self/status": "Name:\tx\nCpus_allowed_list:\t0-2,5\n",
                "/sys/devices/system/cpu/online": "0-1,3-7\n",
                "/proc/meminfo": "MemTotal:        1000000 kB\nMemFree: 5 kB\n",
                "/proc/self/cgroup": "0::/system.slice/ounced.service\n",
                "/sys/fs/cgroup/system.slice/ounced.service/memory.max": "max\n",
                "/sys/fs/cgroup/system.slice/memory.max": "268435456\n",
                "/proc/cpuinfo": "processor\t: 0\nBogoMIPS\t: 108\n",
                "/proc/device-tree/model": "Raspberry Pi 4 Model B\0",
            ]))
        #expect(probe.cpus == [0, 1, 5])
        #expect(probe.memoryBytes == 268_435_456)
        #expect(probe.cpuModel == "Raspberry Pi 4 Model B")
    }

    @Test func bigAndLittle() throws {
        var files = ["/sys/devices/system/cpu/online": "0-5\n"]
        for (cpu, capacity) in [446, 446, 446, 446, 1024, 1024].enumerated() {
            files["/sys/devices/system/cpu/cpu\(cpu)/cpu_capacity"] = "\(capacity)\n"
        }
        let probe = DeviceProbe(root: try tree(files))
        #expect(probe.fastest(1) == [4])
        #expect(probe.fastest(2) == [4, 5])
        #expect(probe.fastest(3) == [0, 4, 5])
        #expect(probe.fastest(6) == nil, "all of them")
        for cpu in 0..<6 { files["/sys/devices/system/cpu/cpu\(cpu)/cpu_capacity"] = "1024\n" }
        #expect(DeviceProbe(root: try tree(files)).fastest(2) == nil, "all alike")
    }

    @Test func nothingKnown() {
        let probe = DeviceProbe(root: "/nowhere")
        #expect(probe.cpus == [0])
        #expect(probe.memoryBytes == 0)
        #expect(probe.cpuModel == "unknown CPU")
    }

    @Test func hostileTree() throws {
        let probe = DeviceProbe(
            root: try tree([
                "/proc/self/status": "Cpus_allowed_list: 5-1,-3,0-99999999999,x,,7-\n",
                "/proc/meminfo": "MemTotal: 99999999999999999999 kB\n",
                "/proc/self/cgroup": "0::/../../etc\n:::::\n0::\n",
            ]))
        #expect(probe.cpus == [0])
        #expect(probe.memoryBytes == 0)
    }

    @Test func thisMachine() {
        let probe = DeviceProbe()
        #expect(probe.onlineCores >= 1)
        #expect(probe.memoryBytes > 1 << 20)
    }
}
