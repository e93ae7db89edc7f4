#!/bin/bash
# Instructions per inference on ARM64, one thread, counted by one plugin of qemu for each engine: by how many grows a
# process that makes 300 inferences more, so that loading cancels out.
#   run.sh ounce MODEL.ounce     the program of Packaging/arm64/build.sh, in $OUNCE_ARM64_CACHE (default .build/arm64)
#   run.sh litert MODEL.tflite   in $ROOT, a folder with an ARM64 Python and the wheels (docs/arm64.md)
# $CPU (default cortex-a76) is qemu's model of CPU; $QEMU (default qemu-aarch64) a qemu with plugins.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
engine=$1 model=$(realpath "$2") cpu=${CPU:-cortex-a76} qemu=${QEMU:-qemu-aarch64}
cache=$(realpath -m "${OUNCE_ARM64_CACHE:-$here/../../.build/arm64}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cc -O2 -shared -fPIC "$here/insn.c" -o "$work/insn.so"

ounce() { # LINES: three inferences for each line
    for _ in $(seq "$1"); do echo 0.000001; done |
        "$qemu" -L "$cache/sysroot" -cpu "$cpu" -plugin "$work/insn.so" "$cache/bin/ounce" bench --worker "$model" \
            --threads 1 --tune 0
}

litert() { # LINES
    "$qemu" -L "$ROOT" -cpu "$cpu" -plugin "$work/insn.so" -E PYTHONHASHSEED=0 -E OPENBLAS_NUM_THREADS=1 -E PYTHONPATH="$ROOT/site" \
        "$ROOT/usr/bin/python3.11" "$here/litert.py" "$model" $((3 * $1))
}

counted() { # LINES
    "$engine" "$1" 2>&1 >/dev/null | sed -n 's/^instructions //p'
}

few=$(counted 3)
more=$(counted 103)
echo "$engine, $(basename "$(dirname "$model")")/$(basename "$model"), $cpu: $(((more - few) / 300)) instructions"
