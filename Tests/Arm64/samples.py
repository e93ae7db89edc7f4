#!/usr/bin/env python3
"""Writes a few samples for each model of a data folder's manifest; random ones (fixed seed) where it has no data.

    samples.py ROOT OUT COUNT

Prints, for each model: file, samples (.npy), and calibration samples (.npy) where the model is a float one, else "-".
"""
import json
import pathlib
import sys

import numpy as np


def samples(prepare, root, model, split, count):
    try:
        return prepare(str(root), model, split)[1][:count]
    except SystemExit:
        spec = model["inputs"][0]
        random = np.random.default_rng(len(model["id"]))
        shape = (count, *spec["shape"][1:])
        if spec["dtype"] == "float32":
            return random.standard_normal(shape, np.float32)
        return random.integers(-128, 128, shape, np.int8)


def main():
    root, out, count = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])
    sys.path.insert(0, str(root))
    from prepare import prepare

    for model in json.loads((root / "manifest.json").read_text())["models"]:
        inputs, calibration = out / f"{model['id']}.npy", "-"
        np.save(inputs, samples(prepare, root, model, "dev", count))
        if model["precision"] == "float32":
            calibration = out / f"{model['id']}-calibration.npy"
            np.save(calibration, samples(prepare, root, model, "calib", 32))
        print(root / model["path"], inputs, calibration)


if __name__ == "__main__":
    main()
