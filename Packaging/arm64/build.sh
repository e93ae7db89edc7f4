#!/bin/bash
# Cross-builds ounce and ounced for aarch64 Linux on an x86-64 machine; docs/arm64.md tells how and why.
# $OUNCE_ARM64_CACHE (default .build/arm64, 6 GB) keeps the SDK, the build, and the programs in bin/.
# Exits 77 where the SDK is not to be had.
set -euo pipefail
cd "$(dirname "$0")/../.."
cache=$(realpath -m "${OUNCE_ARM64_CACHE:-.build/arm64}")
mkdir -p "$cache/bin"

skip() {
    echo "arm64: skipped: $*" >&2
    exit 77
}

[ "$(uname -m)" = x86_64 ] || skip "this script cross-builds from x86-64; elsewhere use swift build"
command -v mmdebstrap >/dev/null || skip "mmdebstrap is not installed"
archive=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | head -n 1)
[ -n "$archive" ] || skip "apt knows no Debian archive here; run apt-get update"

# Unpacks the packages of a suite and what they depend on, without installing them, as $cache/NAME.
unpack() {
    local name=$1 suite=$2 folder=$cache/$1
    shift 2
    [ ! -d "$folder" ] || return 0
    rm -rf "$folder.new"
    mkdir "$folder.new"
    mmdebstrap --quiet --variant=extract --format=tar --aptopt='Acquire::Check-Valid-Until "false"' \
        --aptopt='APT::Install-Recommends "false"' "$@" "$suite" - "deb $archive $suite main" |
        tar -x --no-same-owner -C "$folder.new" --exclude='./dev' --exclude='./usr/share' ||
        skip "Debian's $suite cannot be unpacked"
    mv "$folder.new" "$folder"
}

# The compiler runs here; of the same package for arm64 only Swift's libraries are wanted.
unpack toolchain sid --include=swiftlang,g++ --architectures=amd64,arm64 --extract-hook='
    set -e
    mkdir "$1/arm64"
    cd "$1/arm64"
    APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get -qq -o APT::Sandbox::User=root download swiftlang:arm64 libswiftlang:arm64
    for package in *.deb; do
        dpkg-deb --fsys-tarfile "$package" | tar -x --strip-components=4 --wildcards \
            --exclude="*/lib/swift/host*" "./usr/libexec/swift/lib/swift*"
        rm "$package"
    done
    cp -r "$1/usr/libexec/swift/lib/clang" lib/'
# An older C library than the compiler's, so that the programs run on Debian 12 and what is built from it.
unpack sysroot bookworm --include=libc6-dev,libstdc++-12-dev,libyaml-dev,libsystemd-dev --architectures=arm64
ln -sfn "$cache"/toolchain/arm64/lib/swift{,_static} "$cache/sysroot/usr/lib/"
# Debian's absolute links lead out of the sysroot.
find "$cache/sysroot" -type l -lname '/*' -not -lname "$cache/*" -print0 | while IFS= read -r -d '' link; do
    ln -sfn "$cache/sysroot$(readlink "$link")" "$link"
done

sdk=$cache/sdk/ounce.artifactbundle
mkdir -p "$sdk"
cat >"$sdk/info.json" <<JSON
{"schemaVersion": "1.0",
 "artifacts": {"ounce": {"type": "swiftSDK", "version": "1.0.0", "variants": [{"path": "."}]}}}
JSON
cat >"$sdk/swift-sdk.json" <<JSON
{"schemaVersion": "4.0",
 "targetTriples": {"aarch64-unknown-linux-gnu": {
   "sdkRootPath": "$cache/sysroot",
   "swiftResourcesPath": "$cache/toolchain/arm64/lib/swift",
   "swiftStaticResourcesPath": "$cache/toolchain/arm64/lib/swift_static",
   "toolsetPaths": ["toolset.json"]}}}
JSON
cat >"$sdk/toolset.json" <<JSON
{"schemaVersion": "1.0", "rootPath": "/usr/libexec/swift/bin",
 "linker": {"path": "ld.lld"}, "swiftCompiler": {"extraCLIOptions": ["-use-ld=lld"]}}
JSON

# sid's programs need sid's C library: they see sid's /usr, and all else of this machine as it is.
in_sid() {
    local options=--mount
    [ "$(id -u)" = 0 ] || options="--mount --map-root-user"
    unshare $options sh -c 'mount --bind "$0/toolchain/usr" /usr && exec "$@"' "$cache" "$@"
}

swift package resolve --scratch-path "$cache/build"
in_sid /usr/libexec/swift/bin/clang --target=aarch64-linux-gnu --sysroot="$cache/sysroot" -O2 -Wall -Werror \
    -c "$PWD/Packaging/arm64/glibc_compat.c" -o "$cache/glibc_compat.o"
for product in ounce ounced; do
    PKG_CONFIG_PATH=$cache/sysroot/usr/lib/aarch64-linux-gnu/pkgconfig in_sid /usr/libexec/swift/bin/swift build \
        --configuration release --product "$product" --scratch-path "$cache/build" \
        --swift-sdks-path "$cache/sdk" --swift-sdk aarch64-unknown-linux-gnu --static-swift-stdlib \
        -Xlinker "$cache/glibc_compat.o"
    cp "$cache/build/aarch64-unknown-linux-gnu/release/$product" "$cache/bin/"
done
