#!/bin/sh
# Builds the kernels and tests them: natively, under sanitizers, and for ARM64 and RISC-V under qemu where there is one.
# AMX is emulated where the CPU lacks it. Every kernel of an architecture's list must have run on one of its CPUs.
#   run.sh [seed [steps for each family]]
set -eu
cd "$(dirname "$0")/../.."
# The compiler that builds them in the package: the Swift toolchain's.
CC=${CC:-$(dirname "$(readlink -f "$(command -v swift)")")/clang}
SEED=${1:-$(date +%s)}
STEPS=${2:-200}
OUT=$(mktemp -d)
trap 'rm -rf "$OUT"' EXIT

build() {  # build NAME FLAGS...
    name=$1
    shift
    mkdir -p "$OUT/$name"
    find Sources/COunceKernels Tests/OunceKernels -name '*.c' | xargs -P "$(nproc)" -I FILE sh -c '
        file=$1 folder=$2
        shift 2
        exec "$@" -c "$file" -o "$folder/$(echo "$file" | tr / _).o"' \
        build FILE "$OUT/$name" "$CC" -std=gnu11 -O2 -g -Wall -Wextra -Werror -ISources/COunceKernels/include "$@"
}

all_ran() {  # all_ran ARCHITECTURE: every kernel that some run listed has run in one of them
    missing=0
    for kernel in $(sed -n 's/^skipped \([a-z0-9_]*\):.*/\1/p' "$OUT/$1.log" | sort -u); do
        grep -q "^ran $kernel " "$OUT/$1.log" && continue
        echo "NOT RUN on any CPU: $kernel"
        missing=1
    done
    return $missing
}

under_qemu() {  # under_qemu ARCHITECTURE QEMU LIBRARIES CPU...: the tests on each model of CPU
    architecture=$1 qemu=$2 libraries=$3
    shift 3
    for cpu in "$@"; do
        echo "== $architecture, qemu $cpu"
        "$qemu" -L "$libraries" -cpu "$cpu" "$OUT/tests-$architecture" "$SEED" $((STEPS / 4 + 1)) \
            > "$OUT/one.log" || { cat "$OUT/one.log"; exit 1; }
        cat "$OUT/one.log"
        cat "$OUT/one.log" >> "$OUT/$architecture.log"
    done
    all_ran "$architecture"
}

EMULATED=
if [ "$(uname -m)" = x86_64 ] && ! grep -q amx_int8 /proc/cpuinfo; then
    EMULATED=-DOUNCE_EMULATE_AMX
fi
echo "== native $EMULATED"
build native $EMULATED
"$CC" "$OUT"/native/*.o -o "$OUT/tests" -lm
"$OUT/tests" "$SEED" "$STEPS" > "$OUT/native.log" || { cat "$OUT/native.log"; exit 1; }
cat "$OUT/native.log"
all_ran native || echo "NOTICE: this CPU lacks instruction sets; the kernels above are untested here"
if [ -n "$EMULATED" ]; then  # what the package builds
    "$CC" -std=gnu11 -O2 -Wall -Wextra -Werror -S Sources/COunceKernels/conv/conv_s8_amx.c -o "$OUT/amx.s"
    grep -q tdpbssd "$OUT/amx.s" || { echo "FAILED: the AMX kernel has no AMX instructions"; exit 1; }
fi

echo "== native, address and undefined-behaviour sanitizers"
build sanitized -fsanitize=address,undefined -fno-sanitize-recover=all $EMULATED
"$CC" -fsanitize=address,undefined "$OUT"/sanitized/*.o -o "$OUT/tests-sanitized" -lm
"$OUT/tests-sanitized" "$SEED" $((STEPS / 4 + 1)) > "$OUT/sanitized.log" 2>&1 || { cat "$OUT/sanitized.log"; exit 1; }
tail -n 1 "$OUT/sanitized.log"

CROSS=$(ls -d /usr/lib/gcc-cross/aarch64-linux-gnu/* 2> /dev/null | tail -n 1)
if [ "$(uname -m)" = aarch64 ]; then
    echo "== ARM64 is native here"
elif [ -z "$CROSS" ] || [ ! -d /usr/aarch64-linux-gnu/include ] || ! command -v qemu-aarch64-static > /dev/null; then
    echo "NOTICE: ARM64 kernels are not tested: install qemu-user-static gcc-aarch64-linux-gnu libc6-dev-arm64-cross"
else
    build arm64 --target=aarch64-linux-gnu -I/usr/aarch64-linux-gnu/include
    "$CC" --target=aarch64-linux-gnu -B"$CROSS" -L"$CROSS" -L/usr/aarch64-linux-gnu/lib "$OUT"/arm64/*.o \
        -o "$OUT/tests-arm64" -lm
    under_qemu arm64 qemu-aarch64-static /usr/aarch64-linux-gnu cortex-a53 cortex-a76 max
fi

CROSS=$(ls -d /usr/lib/gcc-cross/riscv64-linux-gnu/* 2> /dev/null | tail -n 1)
if [ "$(uname -m)" = riscv64 ]; then
    echo "== RISC-V is native here"
elif [ -z "$CROSS" ] || [ ! -d /usr/riscv64-linux-gnu/include ] || ! command -v qemu-riscv64-static > /dev/null; then
    echo "NOTICE: RISC-V kernels are not tested: install qemu-user-static gcc-riscv64-linux-gnu libc6-dev-riscv64-cross"
else
    # Without vectors in all of it, the compiler warns of loops that it leaves alone. Debian's linker fails on its output.
    build riscv64 --target=riscv64-linux-gnu -march=rv64gc -Wno-pass-failed -I/usr/riscv64-linux-gnu/include
    "$CC" --target=riscv64-linux-gnu -fuse-ld=lld -B"$CROSS" -L"$CROSS" -L/usr/riscv64-linux-gnu/lib \
        "$OUT"/riscv64/*.o -o "$OUT/tests-riscv64" -lm
    under_qemu riscv64 qemu-riscv64-static /usr/riscv64-linux-gnu rv64 rv64,v=true,vext_spec=v1.0,vlen=128 \
        rv64,v=true,vext_spec=v1.0,vlen=256 rv64,v=true,vext_spec=v1.0,vlen=512
fi
