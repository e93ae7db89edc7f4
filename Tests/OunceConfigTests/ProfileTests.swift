import Testing

@testable import OunceConfig

@Suite struct ProfileTests {
    static let board = """
        name: board
        cores: 4
        memory: 256MiB
        simd: {width: 128, features: [neon]}
        power: {budget: 4.0W, idle: 2.7W, per_core: 900mW, sensor: /sys/class/hwmon/hwmon0/power1_input}
        """

    @Test func decodesEveryKey() throws {
        let (value, errors) = profile(Self.board)
        #expect(errors == [])
        let board = try #require(value)
        #expect(board.name == "board")
        #expect(board.cores == .count(4))
        #expect(board.memory == .bytes(268_435_456))
        #expect(board.allowedISAs == ["scalar", "neon"])
        #expect(board.power?.budget == 4.0)
        #expect(board.power?.perCore == 0.9)
        #expect(board.power?.sensor == .path("/sys/class/hwmon/hwmon0/power1_input"))
    }

    @Test func automaticProfileLimitsNothing() throws {
        let auto = try #require(profile("{name: auto, cores: auto, memory: auto, simd: auto}").value)
        #expect(auto.allowedISAs == nil)
        #expect(auto.maxThreads(onlineCPUs: 6) == 6)
        #expect(auto.watts(threads: 2) == nil)
        #expect(auto.memory.bytes(ofTotal: 1000) == 500)
    }

    @Test(arguments: [
        ("{width: 0}", ["scalar"]),
        ("{width: 0, features: [neon]}", ["scalar"]),
        ("{width: 128}", ["scalar", "neon", "neondot", "i8mm", "rvv"]),
        ("{width: 128, features: [dotprod]}", ["scalar", "neon", "neondot"]),
        ("{features: [i8mm]}", ["scalar", "neon", "neondot", "i8mm"]),
        ("{features: [rvv]}", ["scalar", "rvv"]),
        ("{width: 256, features: [avx2]}", ["scalar", "avx2"]),
        ("{width: 256, features: [avxvnni]}", ["scalar", "avx2", "avxvnni"]),
        ("{width: 256, features: [avx2, avxvnni, avx512vnni]}", ["scalar", "avx2", "avxvnni"]),
        ("{width: 512, features: [avx512vnni]}", ["scalar", "avx2", "avx512vnni"]),
        ("{features: [avx512vnni]}", ["scalar", "avx2", "avx512vnni"]),
        ("{features: [avx512popcnt]}", ["scalar", "avx2", "avx512vnni", "avx512popcnt"]),
        ("{features: [amx]}", ["scalar", "avx2", "avx512vnni", "amx"]),
        ("{features: []}", ["scalar"]),
    ])
    func simdLimitsKernels(simd: String, expected: [String]) throws {
        let (value, errors) = profile("{name: x, cores: auto, memory: auto, simd: \(simd)}")
        #expect(errors == [])
        #expect(value?.allowedISAs == Set(expected))
    }

    @Test func powerLimitsThreads() throws {
        func threads(_ budget: String, cores: String = "4", online: Int = 8) throws -> (Int, Bool) {
            let power = "power: {budget: \(budget), idle: 2W, per_core: 0.1W}"
            let board = try #require(
                profile("{name: x, cores: \(cores), memory: auto, simd: auto, \(power)}").value)
            #expect(abs((board.watts(threads: 3) ?? 0) - 2.3) < 1e-12)
            return (board.maxThreads(onlineCPUs: online), board.oneThreadExceedsBudget)
        }
        #expect(try threads("9W") == (4, false))
        #expect(try threads("2.3W") == (3, false))
        #expect(try threads("2.29W") == (2, false))
        #expect(try threads("2.1W") == (1, false))
        #expect(try threads("2.05W") == (1, true))
        #expect(try threads("1W") == (1, true))
        #expect(try threads("9W", cores: "[4, 5]") == (2, false))
        #expect(try threads("9W", online: 1) == (1, false))
        #expect(try threads("9W", cores: "auto", online: 0) == (1, false))
    }

    @Test func reportsSeveralErrorsAtTheirPlaces() {
        let (value, errors) = profile(
            """
            name: my board
            coers: 4
            memory: 256
            simd: {width: 100, features: [noen, avx2]}
            power:
              budget: 4.0
              idle: 2.7w
              sensor: sys/power
            """)
        #expect(value == nil)
        #expect(
            errors == [
                "f:2:1: unknown key 'coers' in 'device profile'; did you mean 'cores'? "
                    + "(the keys are name, cores, memory, simd, power or notes)",
                "f:1:7: 'name' cannot be 'my board'; use letters, digits, '.', '_' and '-' only",
                "f:1:1: 'device profile' lacks the key 'cores'; add 'cores: …'",
                "f:3:9: 'memory' has no unit: '256'; add one of B, KiB, MiB, GiB, kB, MB or GB, as in 256MiB",
                "f:4:15: no kernel is 100 bits wide; give 0, 128, 256 or 512 (0: no SIMD)",
                "f:4:31: 'features[0]' cannot be 'noen'; did you mean 'neon'? "
                    + "(it takes avx2, avxvnni, avx512vnni, avx512popcnt, amx, neon, dotprod, i8mm or rvv)",
                "f:6:11: 'budget' has no unit: '4.0'; add one of W or mW, as in 2.5W",
                "f:7:9: 'idle' has the unknown unit 'w'; did you mean 'W'? (the units are W or mW)",
                "f:6:3: 'power' lacks the key 'per_core'; add 'per_core: …'",
                "f:8:11: 'sensor' cannot be 'sys/power'; write auto, none, or the absolute path of a sysfs file",
            ])
    }

    @Test(arguments: [
        (
            "cores: many",
            "f:1:8: 'cores' must be auto, a count or a list of CPU ids, found 'many'; "
                + "write auto, 4 or [4, 5, 6, 7]"
        ),
        ("cores: 0", "f:1:8: 'cores' is 0, out of range; give a whole number from 1 to 1024"),
        ("cores: [1, 1]", "f:1:8: 'cores' names a CPU twice; name each CPU once"),
        ("cores: []", "f:1:8: 'cores' has 0 items; give it 1 to 1024"),
        (
            "cores: [x]",
            "f:1:9: 'cores[0]' must be a whole number from 0 to 1023, found 'x'; "
                + "write digits only, without quotes, unit or leading zero"
        ),
        ("cores:", "f:1:1: 'cores' has no value; give it one, or remove the line"),
        (
            "cores: 99999999999999999999",
            "f:1:8: 'cores' must be auto, a count or a list of CPU ids, found "
                + "'99999999999999999999'; write auto, 4 or [4, 5, 6, 7]"
        ),
    ])
    func refusesCores(line: String, error: String) {
        #expect(profile("\(line)\nname: x\nmemory: auto\nsimd: auto\n").errors == [error])
    }

    @Test(arguments: [
        (
            "simd: sse",
            "f:1:7: 'simd' must be auto or a mapping, found 'sse'; write auto, or {width: 128, features: [neon]}"
        ),
        ("simd: {}", "f:1:7: 'simd' says nothing; give 'width' or 'features', or write auto"),
        (
            "simd: {width: 128, features: [avx2]}",
            "f:1:20: no feature of avx2 fits into 128 bits; "
                + "raise 'width', or write 'width: 0' for no SIMD"
        ),
        (
            "simd: {width: \"128\"}",
            "f:1:15: 'width' must be a whole number from 0 to 512, found the quoted text '128'; "
                + "write digits only, without quotes, unit or leading zero"
        ),
    ])
    func refusesSIMD(line: String, error: String) {
        #expect(profile("\(line)\nname: x\nmemory: auto\ncores: auto\n").errors == [error])
    }
}
