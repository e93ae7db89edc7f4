#!/usr/bin/env python3
"""Runs small TFLite models in LiteRT's reference kernels and has `ounce verify` compare.

    run.py OUNCE [--only PART] [--keep DIR]
    run.py --golden DIR        # writes the few cases that `swift test` runs without LiteRT

Every model and its numbers follow from the case's name. Exit status 1 where a case fails or is refused.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from cases import CASES, GOLDEN, refused
from flat import VERSIONS


KERNELS = {
    "reference": OpResolverType.BUILTIN_REF,
    "plain": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "default": OpResolverType.BUILTIN,
}


def interpreter_of(path, case):
    if case.kernels == "default":
        # XNNPACK takes only operators whose outputs are declared with their extents.
        plain = interpreter_with(KERNELS["plain"], path, case)
        plain.allocate_tensors()
        for detail in plain.get_output_details():
            tensor = list(case.g.tensors[detail["index"]])
            tensor[1] = [int(extent) for extent in detail["shape"]]
            case.g.tensors[detail["index"]] = tuple(tensor)
    return interpreter_with(KERNELS[case.kernels], path, case)


def interpreter_with(kernels, path, case):
    """Each kernel has a newest version; the one to write is found by asking for less until it is there."""
    while True:
        path.write_bytes(case.model.bytes())
        try:
            return Interpreter(str(path), experimental_op_resolver_type=kernels)
        except ValueError as error:
            wanted = re.search(r"builtin opcode '(\w+)' version '(\d+)'", str(error))
            if not wanted:
                raise
            if wanted[2] == "1":
                # Some kernels have one form only, which the reference set leaves out.
                return Interpreter(str(path), experimental_op_resolver_type=KERNELS["plain"])
            VERSIONS[wanted[1]] = int(wanted[2]) - 1


def expected(path, case):
    interpreter = interpreter_of(path, case)
    interpreter.allocate_tensors()
    for detail, value in zip(interpreter.get_input_details(), case.values):
        interpreter.set_tensor(detail["index"], value)
    interpreter.reset_all_variables()
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


def check(ounce, folder, case):
    path = folder / f"{case.name}.tflite"
    try:
        outputs = expected(path, case)
    except (RuntimeError, ValueError) as error:
        return "skipped", f"LiteRT refuses it: {str(error).splitlines()[0]}"
    files = {"inputs": case.values, "expected": outputs}
    command = [ounce, "verify", path, "--strict", "--quiet"]
    for name, arrays in files.items():
        command.append(f"--{name}")
        for place, array in enumerate(arrays):
            np.save(folder / f"{case.name}.{name}{place}.npy", np.ascontiguousarray(array))
            command.append(folder / f"{case.name}.{name}{place}.npy")
    command += ["--relative", str(case.relative), "--absolute", str(case.absolute), "--steps", str(case.steps)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return ("passed" if done.returncode == 0 else "failed"), (done.stdout + done.stderr).strip()


def write_golden(folder):
    chosen = []
    for case in CASES:
        if case.name not in GOLDEN:
            continue
        path = folder / f"{case.name}.tflite"
        outputs = expected(path, case)
        for kind, arrays in (("x", case.values), ("y", outputs)):
            for place, array in enumerate(arrays):
                np.save(folder / f"{case.name}.{kind}{place}.npy", np.ascontiguousarray(array))
        chosen.append({
            "name": case.name, "inputs": len(case.values), "outputs": len(outputs), "steps": case.steps,
            "relative": case.relative, "absolute": case.absolute})
    (folder / "refused.tflite").write_bytes(refused().bytes())
    (folder / "cases.json").write_text("[\n" + ",\n".join(json.dumps(entry) for entry in chosen) + "\n]\n")
    assert len(chosen) == len(GOLDEN), GOLDEN - {entry["name"] for entry in chosen}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ounce", nargs="?")
    parser.add_argument("--golden")
    parser.add_argument("--only", default="")
    parser.add_argument("--keep")
    arguments = parser.parse_args()
    if arguments.golden:
        return write_golden(pathlib.Path(arguments.golden))
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(arguments.keep or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for case in CASES:
            if arguments.only not in case.name:
                continue
            outcome, text = check(os.path.abspath(arguments.ounce), folder, case)
            counts[outcome] += 1
            if outcome != "passed":
                print(f"{outcome} {case.name}: {text}", flush=True)
    print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    sys.exit(1 if counts["failed"] or not counts["passed"] else 0)


if __name__ == "__main__":
    main()
