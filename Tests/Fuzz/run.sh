#!/usr/bin/env bash
# Fuzzes one reader: run.sh TARGET [SECONDS] [more options of libFuzzer]. Builds first; ends with 0 when nothing was found.
set -euo pipefail
cd "$(dirname "$0")"
target=${1:?name a target: onnx, tflite, tensor, npz, artifact, yaml, infer or http}
seconds=${2:-600}
shift $(($# < 2 ? $# : 2))

swift build -c release --sanitize=address --product OunceFuzz
corpus=.build/corpus/$target
found=.build/found/$target
golden=../Golden/fuzz/$target
mkdir -p "$corpus" "$found" "$golden"
if [ "$target" = artifact ]; then
    ./seeds onnx .build/seeds/onnx
    mkdir -p .build/seeds/artifact
    OUNCE_FUZZ_ARTIFACTS=.build/seeds/onnx:.build/seeds/artifact .build/release/OunceFuzz
else
    ./seeds "$target" ".build/seeds/$target"
fi

# A small input must neither take gigabytes nor seconds; 1 GiB is what one allocation may take on the smallest boards.
options=(-max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -malloc_limit_mb=1024 -max_len=16384
    -print_final_stats=1 -artifact_prefix="$found/")
[ ! -e "dictionaries/$target" ] || options+=(-dict="dictionaries/$target")
export OUNCE_FUZZ_TARGET=$target
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=0:${ASAN_OPTIONS:-}
exec .build/release/OunceFuzz "${options[@]}" "$@" "$corpus" ".build/seeds/$target" "$golden"
