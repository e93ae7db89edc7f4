#!/bin/bash
# Checks that ounce gives the same bytes on ARM64, under qemu, as on this machine; docs/arm64.md tells more.
# usage: Tests/Arm64/run.sh [OUNCE ARM64-OUNCE]      builds both where they are not given
# Exits 0 (the same), 1 (a difference, a wrong kernel, a crash), 77 (the ARM64 program or qemu is not to be had).
set -uo pipefail
cd "$(dirname "$0")/../.."
cache=${OUNCE_ARM64_CACHE:-.build/arm64}
native=${1:-.build/release/ounce}
arm64=${2:-$cache/bin/ounce}
data=${OUNCE_SHARED_DATA:-../shared/data}
python=${PYTHON:-python3}
vibration=Config/models/vibration.onnx
calibration=Config/models/vibration-calibration.npz
export OUNCE_SHARE=$PWD/Config

if ! command -v qemu-aarch64-static >/dev/null; then
    echo "arm64: skipped: qemu-aarch64-static is not installed"
    exit 77
fi
if [ $# -lt 2 ]; then
    swift build --configuration release --product ounce || exit 1
    Packaging/arm64/build.sh || exit $?
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

result() { # STATUS WHAT
    if [ "$1" = 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $2"
    fi
}

on_arm64() { # CPU ARGUMENTS…
    local cpu=$1
    shift
    qemu-aarch64-static -L "$cache/sysroot" -cpu "$cpu" "$arm64" "$@"
}

# The instruction sets that the CPU of COMMAND… has.
isas() {
    "$@" bench $vibration --seconds 0.01 --json | sed -n '/"instruction_sets"/,/\]/s/^ *"\([a-z0-9]*\)",\{0,1\}$/\1/p'
}

# FILE over SAMPLES by COMMAND… gives the bytes of the scalar kernels here.
same() { # WHAT FILE SAMPLES COMMAND…
    local what=$1 file=$2 samples=$3
    shift 3
    rm -f "$work/output.npz"
    "$@" infer "$file" --input "$samples" --output "$work/output.npz" >/dev/null 2>"$work/log" || cat "$work/log"
    cmp -s "$work/reference.npz" "$work/output.npz"
    result $? "$(basename "$file"): $what differs from the scalar kernels here"
}

compare() { # FILE SAMPLES
    local isa cpu
    OUNCE_ISA=scalar "$native" infer "$1" --input "$2" --output "$work/reference.npz" >/dev/null 2>&1 || return 1
    for isa in $native_isas; do OUNCE_ISA=$isa same "$isa" "$@" "$native"; done
    for isa in $arm64_isas; do OUNCE_ISA=$isa same "$isa (ARM64)" "$@" on_arm64 max; done
    for cpu in cortex-a53 cortex-a76; do same $cpu "$@" on_arm64 $cpu; done
}

# CPU runs int8 convolutions by kernels of instruction set ISA.
chooses() { # CPU ISA
    on_arm64 "$1" bench "$work/vibration.ounce" --layers --seconds 0.01 --json >"$work/layers" &&
        grep -q "\"conv_s8_$2\"" "$work/layers"
    result $? "a $1 does not choose $2 by itself"
}

native_isas=$(isas "$native")
arm64_isas=$(isas on_arm64 max)
echo "arm64: here:" $native_isas "- under qemu:" $arm64_isas
grep -q "neondot i8mm" <<<"$(echo $arm64_isas)"
result $? "qemu's best CPU has no dot products or matrix products"
[ "$(on_arm64 cortex-a53 --version)" = "$("$native" --version)" ]
result $? "--version differs"
[ "$(on_arm64 cortex-a53 inspect $vibration)" = "$("$native" inspect $vibration)" ]
result $? "inspect differs"
for refused in "cortex-a53 neondot" "cortex-a53 i8mm" "cortex-a76 i8mm"; do
    OUNCE_ISA=${refused#* } on_arm64 "${refused% *}" bench $vibration --seconds 0.01 >/dev/null 2>&1
    [ $? = 1 ]
    result $? "a ${refused% *} does not refuse OUNCE_ISA=${refused#* }"
done

"$native" compress $vibration --recipe int8 --calibration $calibration -o "$work/vibration.ounce" >/dev/null 2>&1
result $? "vibration is not compressed here"
chooses cortex-a53 neon
chooses cortex-a76 neondot
for file in $vibration "$work/vibration.ounce"; do
    compare "$file" $calibration
    result $? "$(basename "$file") does not run here"
done

if [ ! -f "$data/manifest.json" ]; then
    echo "arm64: the built-in model only: no shared data at $data"
elif ! "$python" -c 'import numpy' 2>/dev/null; then
    echo "arm64: the built-in model only: $python has no NumPy"
else
    mkdir "$work/samples"
    "$python" -B Tests/Arm64/samples.py "$data" "$work/samples" 2 >"$work/models"
    result $? "samples.py"
    while read -r file samples calibration; do
        macs=$("$native" inspect "$file" --json 2>/dev/null | sed -n 's/^  "macs" : \([0-9]*\).*/\1/p')
        if [ "${macs:-0}" -gt 100000000 ]; then
            echo "arm64: not compared, as it is slow under qemu: $(basename "$file")"
            continue
        fi
        compare "$file" "$samples" || echo "arm64: not compared, as it does not run here: $(basename "$file")"
        [ "$calibration" != - ] || continue
        small=$work/$(basename "$file").ounce
        "$native" compress "$file" --recipe int8 --calibration "$calibration" -o "$small" >/dev/null 2>&1 || continue
        compare "$small" "$samples"
        result $? "$(basename "$small") does not run here"
        rm "$small"
    done <"$work/models"
fi
echo "$passed passed, $failed failed"
[ $failed = 0 ]
