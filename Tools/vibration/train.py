#!/usr/bin/env python3
"""Makes the vibration data, trains the float classifier on it and writes what `Config/models` ships.

    python3 -m pip install -r Tools/vibration/requirements.txt
    python3 Tools/vibration/train.py

Writes vibration.onnx, vibration-calibration.npz and vibration-validation.npz (`--output`, default Config/models).
Seeds are fixed. Another NumPy may draw other numbers or round a sum another way, and training amplifies both: expect
the accuracy of a rebuilt model to differ by some tenths of a point."""

import argparse
import pathlib
import time

import numpy as np

import layers
import signals
from export import onnx_model

# Training, calibration and validation never share a machine: each has a fleet drawn from a seed of its own.
TRAINING = dict(seed=11, machines=2000, windows_per_class=2)
CALIBRATION = dict(seed=22, machines=32, windows_per_class=1)
VALIDATION = dict(seed=33, machines=128, windows_per_class=1)


def build(rng):
    """Some 80 000 parameters; [batch, LENGTH, 3] to logits [batch, 4]."""

    def convolution(inputs, outputs, kernel):
        return dict(conv=layers.Conv(rng, inputs, outputs, kernel), bn=layers.BatchNorm(outputs))

    def residual(channels):
        first, second = convolution(channels, channels, 5), convolution(channels, channels, 5)
        return layers.Residual(
            conv1=first["conv"], bn1=first["bn"], relu1=layers.Relu(), conv2=second["conv"], bn2=second["bn"]
        )

    return layers.Chain(
        stem=layers.Chain(**convolution(3, 32, 15), relu=layers.Relu(), pool=layers.MaxPool(4)),
        block1=layers.Chain(sum=residual(32), relu=layers.Relu(), pool=layers.MaxPool(2)),
        block2=layers.Chain(**convolution(32, 64, 5), relu=layers.Relu()),
        block3=layers.Chain(sum=residual(64), relu=layers.Relu(), pool=layers.MaxPool(2)),
        block4=layers.Chain(**convolution(64, 96, 3), relu=layers.Relu()),
        head=layers.Chain(pool=layers.GlobalAveragePool(), fc=layers.Linear(rng, 96, len(signals.CLASSES))),
    )


def predict(model, windows):
    rows = np.ascontiguousarray(windows.transpose(0, 2, 1))
    return np.concatenate([model.forward(rows[i : i + 64], False) for i in range(0, len(rows), 64)])


def fit(model, windows, labels, rng, epochs, batch=64, peak=3e-3, warmup=0.1):
    """Adam; the rate climbs to `peak`, then falls along a cosine to zero."""
    rows = np.ascontiguousarray(windows.transpose(0, 2, 1))
    optimiser = layers.Adam(model, decay=0.02)
    steps = epochs * (len(rows) // batch)
    for epoch in range(epochs):
        started, losses = time.monotonic(), []
        for chosen in rng.permutation(len(rows))[: len(rows) // batch * batch].reshape(-1, batch):
            done = optimiser.steps / steps
            fall = (1 + np.cos(np.pi * (done - warmup) / (1 - warmup))) / 2
            rate = peak * (done / warmup if done < warmup else fall)
            loss, gradient = layers.cross_entropy(model.forward(rows[chosen], True), labels[chosen], smoothing=0.05)
            model.backward(gradient)
            optimiser.step(rate)
            losses.append(loss)
        seconds = time.monotonic() - started
        print(f"epoch {epoch + 1:2}/{epochs}  loss {np.mean(losses):.4f}  {seconds:.0f} s", flush=True)


def report(name, logits, labels):
    guess = logits.argmax(1)
    count, accuracy = len(labels), float((guess == labels).mean())
    error = np.sqrt(accuracy * (1 - accuracy) / count)
    print(f"{name}: {100 * accuracy:.2f} % of {count} windows (standard error {100 * error:.2f})")
    matrix = np.zeros((len(signals.CLASSES),) * 2, int)
    np.add.at(matrix, (labels, guess), 1)
    print(f"{'true / predicted':>16}" + "".join(f"{name:>14}" for name in signals.CLASSES))
    for name, row in zip(signals.CLASSES, matrix):
        print(f"{name:>16}" + "".join(f"{count:14}" for count in row))


def compare_with_onnxruntime(path, windows, expected):
    try:
        import onnxruntime
    except ImportError:
        print("onnxruntime is not installed: its outputs are not compared")
        return
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"accelerometer": windows})
    (single,) = session.run(None, {"accelerometer": windows[:1]})
    difference = max(np.abs(logits - expected).max(), np.abs(single - expected[:1]).max())
    print(f"onnxruntime: logits differ by at most {difference:.1e}")
    if difference > 1e-3:
        raise SystemExit("the exported model does not compute what was trained")


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, default=root / "Config" / "models", help="folder to write to")
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--seed", type=int, default=7, help="of the initial weights and the order of the windows")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)

    training, calibration, validation = (signals.dataset(**part) for part in (TRAINING, CALIBRATION, VALIDATION))
    for name, (windows, labels) in (("calibration", calibration), ("validation", validation)):
        np.savez(options.output / f"vibration-{name}.npz", accelerometer=windows, labels=labels)
    counts = [len(labels) for _, labels in (training, calibration, validation)]
    print("windows: {} training, {} calibration, {} validation".format(*counts))

    rng = np.random.default_rng(options.seed)
    model = build(rng)
    fit(model, *training, rng, options.epochs)

    path = options.output / "vibration.onnx"
    path.write_bytes(onnx_model(model, signals).SerializeToString())
    logits = predict(model, validation[0])
    report("validation", logits, validation[1])
    compare_with_onnxruntime(path, validation[0], logits)
    for file in sorted(options.output.glob("vibration*")):
        print(f"{file.stat().st_size:9} bytes  {file.name}")


if __name__ == "__main__":
    main()
