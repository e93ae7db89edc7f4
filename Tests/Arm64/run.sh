#!/bin/bash
# Checks that ounce gives the same bytes on aarch64, under qemu, as on this machine; docs/arm64.md tells more.
# usage: Tests/Arm64/run.sh [OUNCE [ARM64-OUNCE]]
# Exits 0 (same), 1 (a difference, a wrong kernel or a crash), 77 (the programs or qemu are not there).
set -uo pipefail
cd "$(dirname "$0")/../.."
cache=${OUNCE_ARM64_CACHE:-.build/arm64}
native=${1:-.build/release/ounce}
arm64=${2:-$cache/bin/ounce}
data=${OUNCE_SHARED_DATA:-../shared/data}
python=${PYTHON:-python3}
export OUNCE_SHARE=$PWD/Config

for need in "$native" "$arm64" qemu-aarch64-static; do
    command -v "$need" >/dev/null && continue
    echo "arm64: skipped: $need is not there"
    exit 77
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

result() { # STATUS, WHAT
    if [ "$1" = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)) && echo "FAILED: $2"; fi
}

on_arm64() { # CPU, ARGUMENTS…
    local cpu=$1
    shift
    qemu-aarch64-static -L "$cache/sysroot" -cpu "$cpu" "$arm64" "$@"
}

# Every way to run FILE over SAMPLES gives the bytes of this machine's scalar kernels.
compare() {
    local file=$1 samples=$2 isa cpu
    infer() { # NAME, COMMAND…
        local name=$1
        shift
        "$@" infer "$file" --input "$samples" --output "$work/$name.npz" >/dev/null 2>"$work/log" || cat "$work/log"
    }
    rm -f "$work"/*.npz
    OUNCE_ISA=scalar infer reference "$native"
    [ -f "$work/reference.npz" ] || return 1
    for isa in $native_isas; do OUNCE_ISA=$isa infer "here-$isa" "$native"; done
    for isa in scalar neon neondot; do OUNCE_ISA=$isa infer "max-$isa" on_arm64 max; done
    for cpu in cortex-a53 cortex-a76; do infer "$cpu" on_arm64 "$cpu"; done
    for name in $(printf 'here-%s ' $native_isas) max-scalar max-neon max-neondot cortex-a53 cortex-a76; do
        cmp -s "$work/reference.npz" "$work/$name.npz"
        result $? "$(basename "$file"): $name differs from this machine's scalar bytes"
    done
}

# On CPU, FILE's convolutions run by kernels of instruction set WANTED, and no step by one of UNWANTED.
chooses() {
    local file=$1 cpu=$2 wanted=$3 unwanted=$4 kernels
    kernels=$(on_arm64 "$cpu" bench "$file" --layers --seconds 0.01 --json) &&
        grep -q "\"kernel\" *: *\"conv_s8_$wanted\"" <<<"$kernels" && ! grep -q "_$unwanted\"" <<<"$kernels"
    result $? "$(basename "$file"): $cpu does not choose $wanted by itself"
}

native_isas=
for isa in avx2 avxvnni avx512vnni; do
    OUNCE_ISA=$isa "$native" bench Config/models/vibration.onnx --seconds 0.01 >/dev/null 2>&1 && native_isas+="$isa "
done
echo "arm64: here: scalar $native_isas; under qemu: scalar, neon, neondot, a Cortex-A53 and a Cortex-A76"

[ "$(on_arm64 cortex-a53 --version)" = "$("$native" --version)" ]
result $? "--version"
[ "$(on_arm64 cortex-a53 inspect Config/models/vibration.onnx)" = "$("$native" inspect Config/models/vibration.onnx)" ]
result $? "inspect"
OUNCE_ISA=neondot on_arm64 cortex-a53 bench Config/models/vibration.onnx >/dev/null 2>&1
[ $? = 1 ]
result $? "a Cortex-A53 refuses OUNCE_ISA=neondot"

vibration=$work/vibration.ounce
calibration=Config/models/vibration-calibration.npz
"$native" compress Config/models/vibration.onnx --recipe int8 --calibration $calibration -o "$vibration" >/dev/null 2>&1
result $? "compress vibration"
chooses "$vibration" cortex-a53 neon neondot
chooses "$vibration" cortex-a76 neondot avx2
for file in Config/models/vibration.onnx "$vibration"; do
    compare "$file" $calibration || result 1 "$(basename "$file") does not run here"
done

if [ ! -f "$data/manifest.json" ]; then
    echo "arm64: no shared data at $data: the built-in model only"
elif ! "$python" -c 'import numpy' 2>/dev/null; then
    echo "arm64: $python has no numpy: the built-in model only"
else
    mkdir "$work/samples"
    "$python" -B Tests/Arm64/samples.py "$data" "$work/samples" 2 >"$work/models"
    result $? "samples.py"
    while read -r file samples calibration; do
        compare "$file" "$samples" || echo "arm64: $(basename "$file") does not run here: not compared"
        [ "$calibration" != - ] || continue
        small=$work/$(basename "$file").ounce
        "$native" compress "$file" --recipe int8 --calibration "$calibration" -o "$small" >/dev/null 2>&1 || continue
        compare "$small" "$samples"
        rm "$small"
    done <"$work/models"
fi
echo "$passed passed, $failed failed"
[ $failed = 0 ]
