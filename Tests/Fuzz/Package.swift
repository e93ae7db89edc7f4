// swift-tools-version: 6.2
import PackageDescription

/// Ounce's modules once more, built to be fuzzed: `package` access does not cross packages, so they are targets of this
/// one too, reached through the link `Modules`. Only what is instrumented is listed; dependencies follow ../../Package.swift.
let instrumented: [SwiftSetting] = [.unsafeFlags(["-sanitize=fuzzer", "-g"])]

let package = Package(
    name: "ounce-fuzz",
    dependencies: [
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2", traits: []),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    ],
    targets: [
        .target(
            name: "COunceKernels", path: "Modules/COunceKernels",
            cSettings: [.unsafeFlags(["-fsanitize=fuzzer-no-link", "-g"])]),
        .target(name: "Crypto", path: "Crypto"),
        .systemLibrary(name: "CLibYAML", path: "Modules/CLibYAML", pkgConfig: "yaml-0.1"),
        .target(name: "OunceGraph", path: "Modules/OunceGraph", swiftSettings: instrumented),
        .target(
            name: "OunceFormats", dependencies: ["OunceGraph"], path: "Modules/OunceFormats",
            swiftSettings: instrumented),
        .target(
            name: "OunceRuntime",
            dependencies: ["OunceGraph", "COunceKernels", "Crypto"],
            path: "Modules/OunceRuntime", swiftSettings: instrumented),
        .target(
            name: "OunceConfig", dependencies: ["CLibYAML", "Crypto"],
            path: "Modules/OunceConfig", swiftSettings: instrumented),
        .target(
            name: "OunceServer",
            dependencies: [
                "OunceRuntime",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
            ],
            path: "Modules/OunceServer", swiftSettings: instrumented),
        .target(
            name: "OunceFuzzTargets",
            dependencies: [
                "OunceFormats", "OunceRuntime", "OunceConfig", "OunceServer", "Crypto",
                .product(name: "NIOCore", package: "swift-nio"),
            ],
            path: "Targets", swiftSettings: instrumented),
        .executableTarget(
            name: "OunceFuzz", dependencies: ["OunceFuzzTargets", "OunceFormats", "OunceRuntime"], path: "Fuzz",
            swiftSettings: [.unsafeFlags(["-sanitize=fuzzer"])],
            linkerSettings: [.unsafeFlags(["-sanitize=fuzzer", "-use-ld=lld"])]),
    ],
    swiftLanguageModes: [.v6]
)
