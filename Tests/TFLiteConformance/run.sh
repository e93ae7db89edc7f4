#!/bin/sh
# TFLite operators against LiteRT, which comes from PyPI into .build/tflite-venv.   run.sh OUNCE [run.py's options]
set -eu
cd "$(dirname "$0")/../.."
VENV=.build/tflite-venv
if ! [ -x "$VENV/bin/python" ] || ! "$VENV/bin/python" -c 'import ai_edge_litert, tflite' 2>/dev/null; then
    if ! { python3 -m venv "$VENV" && "$VENV/bin/pip" install -q -r Tests/TFLiteConformance/requirements.txt; }; then
        echo "NOTICE: PyPI cannot be reached; TFLite operators are not compared with LiteRT"
        exit 0
    fi
fi
OUNCE_SHARE=${OUNCE_SHARE:-$PWD/Config} "$VENV/bin/python" -B Tests/TFLiteConformance/run.py "$@"
