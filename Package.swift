// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "ounce",
    products: [
        .executable(name: "ounce", targets: ["ounce"]),
        .executable(name: "ounced", targets: ["ounced"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2", traits: []),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    ],
    targets: [
        // Lowest first. A module imports only what stands above it here; `.ci/check-imports` holds this.
        .target(name: "COunceKernels"),
        .systemLibrary(name: "CLinux"),
        .systemLibrary(name: "CSystemd", pkgConfig: "libsystemd", providers: [.apt(["libsystemd-dev"])]),
        .systemLibrary(name: "CLibYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
        .target(name: "OunceGraph"),
        .target(name: "OunceFormats", dependencies: ["OunceGraph"]),
        .target(
            name: "OunceRuntime",
            dependencies: ["OunceGraph", "COunceKernels", .product(name: "Crypto", package: "swift-crypto")]),
        .target(name: "OunceTrain", dependencies: ["OunceRuntime", "COunceKernels"]),
        .target(
            name: "OunceConfig",
            dependencies: ["CLibYAML", .product(name: "Crypto", package: "swift-crypto")]),
        .target(name: "OunceCompress", dependencies: ["OunceTrain", "OunceFormats", "OunceConfig"]),
        .target(
            name: "OunceServer",
            dependencies: [
                "OunceRuntime",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
            ]),
        .target(name: "OunceSystem", dependencies: ["CLinux"]),
        .target(
            name: "OunceService",
            dependencies: ["OunceSystem", "CSystemd", .product(name: "Logging", package: "swift-log")]),
        .executableTarget(
            name: "ounce",
            dependencies: [
                "OunceCompress", "OunceServer", "OunceSystem",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),
        .executableTarget(
            name: "ounced",
            dependencies: [
                "OunceServer", "OunceRuntime", "OunceConfig", "OunceSystem", "OunceService",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "Logging", package: "swift-log"),
            ]),
        .target(name: "OunceTestSupport", dependencies: ["OunceGraph", "OunceFormats"], path: "Tests/Support"),
        // The bodies of the fuzzers in the nested package Tests/Fuzz, here to replay what they found.
        .target(
            name: "OunceFuzzTargets",
            dependencies: [
                "OunceFormats", "OunceRuntime", "OunceConfig", "OunceServer",
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "NIOCore", package: "swift-nio"),
            ],
            path: "Tests/Fuzz/Targets"),
        .testTarget(name: "OunceFuzzTests", dependencies: ["OunceFuzzTargets"]),
        .testTarget(name: "OunceGraphTests", dependencies: ["OunceGraph", "OunceTestSupport"]),
        .testTarget(name: "OunceFormatsTests", dependencies: ["OunceFormats", "OunceTestSupport"]),
        .testTarget(
            name: "OunceRuntimeTests",
            dependencies: [
                "OunceRuntime", "OunceFormats", "COunceKernels", "OunceTestSupport",
                .product(name: "Crypto", package: "swift-crypto"),
            ]),
        .testTarget(name: "OunceTrainTests", dependencies: ["OunceTrain", "OunceFormats", "OunceTestSupport"]),
        .testTarget(name: "OunceConfigTests", dependencies: ["OunceConfig"]),
        .testTarget(name: "OunceCompressTests", dependencies: ["OunceCompress", "OunceTestSupport"]),
        .testTarget(name: "OunceServerTests", dependencies: ["OunceServer"]),
        .testTarget(name: "OunceSystemTests", dependencies: ["OunceSystem", "OunceService"]),
        .testTarget(name: "OunceEndToEndTests", dependencies: ["ounce", "ounced"]),
    ],
    swiftLanguageModes: [.v6]
)

// Continuous integration builds with OUNCE_STRICT=1: a warning in a target of ours is an error.
if Context.environment["OUNCE_STRICT"] != nil {
    for target in package.targets where target.type != .system {
        target.swiftSettings = (target.swiftSettings ?? []) + [.treatAllWarnings(as: .error)]
        target.cSettings = (target.cSettings ?? []) + [.treatAllWarnings(as: .error)]
    }
}
