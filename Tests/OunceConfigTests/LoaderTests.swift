import Glibc
import Testing

@testable import OunceConfig

@Suite struct LoaderTests {
    private static let profile = "{name: p, cores: 2, memory: auto, simd: auto}\n"
    private static let recipe = "{name: int8, steps: [quantize: {weights: int8}]}\n"

    private func settings(profile: String = "p.yaml", recipe: String = "int8") -> String {
        """
        profile: \(profile)
        models:
          - {name: a, source: a.onnx, recipe: \(recipe)}
          - {name: b, artifact: b.ounce}
        server: {socket: /run/s}
        """
    }

    private func failure(_ body: () throws(ConfigError) -> some Any) -> [String] {
        do throws(ConfigError) {
            _ = try body()
            return []
        } catch {
            return error.diagnostics.map(\.description)
        }
    }

    @Test func loadsSettingsWithTheirFiles() throws {
        let directory = TemporaryDirectory()
        let path = directory.write("ounce.yaml", settings())
        directory.write("p.yaml", Self.profile)
        directory.write("recipes/int8.yaml", Self.recipe)
        let loader = ConfigLoader(shareDirectories: [], defaultStateDirectory: "/s")
        let loaded = try loader.load(settingsAt: path)
        #expect(loaded.profile.name == "p")
        #expect(loaded.models.map(\.settings.name) == ["a", "b"])
        #expect(loaded.models[0].recipe == .fixed(Recipe(name: "int8", steps: [.quantize(Quantization())])))
        #expect(loaded.models[1].recipe == nil)
        #expect(loaded.settings.models[0].origin == .source(directory.path + "/a.onnx"))

        let before = loaded.canonicalHash
        directory.write("recipes/int8.yaml", "# new comment\nsteps: [{quantize: {weights: int8}}]\nname: int8\n")
        #expect(try loader.load(settingsAt: path).canonicalHash == before)
        directory.write("recipes/int8.yaml", "{name: int8, steps: []}")
        #expect(try loader.load(settingsAt: path).canonicalHash != before)
    }

    @Test func autoTakesAllRecipesInOrder() throws {
        let share = TemporaryDirectory()
        share.write("recipes/b.yaml", "{name: b, steps: []}")
        share.write("recipes/a.yaml", "{name: a, steps: []}")
        share.write("recipes/notes.txt", "not a recipe")
        share.write("profiles/p.yaml", Self.profile)
        let directory = TemporaryDirectory()
        let path = directory.write("ounce.yaml", settings(profile: "profiles/p.yaml", recipe: "auto"))
        let loader = ConfigLoader(shareDirectories: [share.path])
        let expected = [Recipe(name: "a", steps: []), Recipe(name: "b", steps: [])]
        #expect(try loader.load(settingsAt: path).models[0].recipe == .auto(expected))
        #expect(try loader.shippedRecipes() == expected)
        #expect(try loader.profile("p").name == "p")
        #expect(try loader.recipe("b").name == "b")
        #expect(try loader.recipe(share.path + "/recipes/a.yaml").name == "a")
    }

    @Test func reportsErrorsOfAllFilesTogether() {
        let directory = TemporaryDirectory()
        let path = directory.write("ounce.yaml", settings() + "\nsate: x\n")
        directory.write("p.yaml", "{name: p, cores: 2, memory: auto}\n")
        directory.write("recipes/int8.yaml", "name: x\nsteps: [prune: {}]\n")
        let loader = ConfigLoader(shareDirectories: [])
        let expected = [
            "\(path):6:1: unknown key 'sate' in 'settings'; did you mean 'state'? "
                + "(the keys are profile, recipes, state, models, server, compress or log)",
            "\(directory.path)/p.yaml:1:1: 'device profile' lacks the key 'simd'; add 'simd: …'",
            "\(directory.path)/recipes/int8.yaml:2:9: the step 'prune' is not applied by this version of Ounce; "
                + "remove it; this version applies quantize or fine_tune",
        ]
        #expect(failure { () throws(ConfigError) in try loader.load(settingsAt: path) } == expected)
        #expect(loader.check([path]).map(\.description) == expected)
    }

    @Test func marksAMissingFileWhereItIsNamed() {
        let directory = TemporaryDirectory()
        let path = directory.write("ounce.yaml", settings(profile: "/none/p.yaml", recipe: "auto"))
        let loader = ConfigLoader(shareDirectories: [])
        #expect(
            failure { () throws(ConfigError) in try loader.load(settingsAt: path) } == [
                "\(path):1:10: cannot read '/none/p.yaml': No such file or directory; "
                    + "correct the path, or create the file",
                "\(path):3:39: cannot list recipes in \(quoted(directory.path + "/recipes")): "
                    + "No such file or directory; correct the path, or create the file",
            ])
        #expect(
            failure { () throws(ConfigError) in try loader.load(settingsAt: "/none") } == [
                "/none:1:1: cannot read the file: No such file or directory; correct the path, or create the file"
            ])
        #expect(
            failure { () throws(ConfigError) in try loader.profile("/etc") } == [
                "/etc:1:1: cannot read the file: not a regular file; name a YAML file"
            ])
    }

    @Test func doesNotHangOnAFIFO() {
        let directory = TemporaryDirectory()
        let path = directory.path + "/fifo"
        mkfifo(path, 0o600)
        #expect(ConfigLoader().check([path]).map(\.message) == ["cannot read the file: not a regular file"])
    }

    @Test func checkRecognisesKinds() {
        let directory = TemporaryDirectory()
        let loader = ConfigLoader(shareDirectories: [])
        func check(_ text: String) -> [String] {
            let path = directory.write("x.yaml", text)
            return loader.check([path]).map { String($0.description.dropFirst(path.utf8.count)) }
        }
        #expect(check(Self.profile) == [])
        #expect(check(Self.recipe) == [])
        #expect(
            check("step: []\nname: x\n").first?.hasPrefix(":1:1: unknown key 'step' in 'recipe'; did you mean") == true)
        #expect(
            check("cores: 4\nsteps: []\n").first?.hasPrefix(
                ":1:1: has keys of a device profile and of a recipe; keep one kind in a file: ") == true)
        #expect(check("name: x\n").first?.hasPrefix(":1:1: no key tells what kind of file this is; ") == true)
        #expect(check("- a\n").first?.hasPrefix(":1:1: a configuration file must be a mapping, found a list; ") == true)
        #expect(check("a: [").count == 1)
    }

    @Test func shippedFilesDecode() throws {
        let loader = ConfigLoader(shareDirectories: [root + "/Config"])
        func yaml(_ folder: String) throws -> [String] {
            try DirectoryListing.files(in: root + "/Config" + folder, suffix: ".yaml", limit: 100).get()
                .map { root + "/Config" + folder + "/" + $0 }
        }
        let profiles = try yaml("/profiles")
        let recipes = try yaml("/recipes")
        #expect(profiles.count >= 12)
        #expect(recipes.count >= 7)
        #expect(loader.check(profiles + recipes + [root + "/Config/ounce.yaml"]).map(\.description) == [])
        for path in profiles {
            let profile = try loader.profile(path)
            #expect(path.hasSuffix("/\(profile.name).yaml"))
            #expect(!profile.oneThreadExceedsBudget)
            #expect(profile.power == nil || profile.maxThreads(onlineCPUs: 64) >= 4, "\(path)")
        }
        #expect(try loader.profile("auto").canonicalHash == DeviceProfile().canonicalHash)
        for path in recipes { #expect(path.hasSuffix("/\(try loader.recipe(path).name).yaml")) }
        let loaded = try loader.load(settingsAt: root + "/Config/ounce.yaml")
        #expect(loaded.models.map(\.settings.name) == ["vibration"])
        #expect(loaded.settings.models[0].origin == .source(root + "/Config/models/vibration.onnx"))
    }

    /// Each figure of a board names where it is from.
    @Test func shippedFiguresHaveSources() throws {
        let names = try DirectoryListing.files(in: root + "/Config/profiles", suffix: ".yaml", limit: 100).get()
        for name in names where name != "auto.yaml" {
            var comments = ""
            for line in String(decoding: contents(root + "/Config/profiles/" + name), as: UTF8.self).split(
                separator: "\n")
            {
                let text = line.drop { $0 == " " }
                if text.hasPrefix("#") {
                    comments += text
                    continue
                }
                if ["cores", "memory", "simd", "budget", "idle", "per_core"].contains(String(text.prefix { $0 != ":" }))
                {
                    let sourced = ["source:", "ESTIMATE", "Derived"].contains { comments.contains($0) }
                    #expect(sourced, "\(name): \(text)")
                }
                comments = ""
            }
        }
    }
}
