#!/usr/bin/env python3
"""Singular values of ill-conditioned matrices by NumPy, and the reach of an entropy calibration by its definition.

Writes low_rank.json beside this file. Matrices and numbers follow from formulas that the tests repeat.
"""
import json, os
import numpy as np


def hilbert(n, m):
    return 1 / (np.arange(n)[:, None] + np.arange(m)[None] + 1.0)


def vandermonde(n, m):
    return ((np.arange(n) + 1.0) / n)[:, None] ** np.arange(m)[None]


def kahan(n, m):
    c, s = 0.6, 0.8
    return np.array([[(s**i) * (1.0 if i == j else -c if j > i else 0.0) for j in range(m)] for i in range(n)])


def waves(n, m):
    """Full rank, neither decaying nor structured."""
    i, j = np.arange(n)[:, None], np.arange(m)[None]
    return np.sin(1.0 + i * 12.9898 + j * 78.233 + i * j * 0.731)


def graded(n, m):
    """Columns from 1 down to 1e-12."""
    return waves(n, m) * 10.0 ** (-12.0 * np.arange(m) / (m - 1))[None]


def repeated(n, m):
    """Of rank 3."""
    i, j = np.arange(n)[:, None], np.arange(m)[None]
    return np.sin(i + 1.0) * np.cos(j) + 2 * np.cos(3.0 * i) * np.sin(j + 0.5) + 0.1 * (i % 2) * (j % 3)


MATRICES = {"hilbert": hilbert, "vandermonde": vandermonde, "kahan": kahan, "waves": waves, "graded": graded, "repeated": repeated}
SHAPES = [("hilbert", 12, 12), ("hilbert", 9, 20), ("vandermonde", 30, 12), ("kahan", 25, 25), ("waves", 40, 24),
          ("waves", 16, 33), ("graded", 30, 20), ("repeated", 20, 14), ("waves", 1, 7), ("waves", 5, 1)]


def uniform(seed, count):
    index = np.arange(1, count + 1, dtype=np.uint32)
    u = index * np.uint32(2654435761) + np.uint32((seed * 2246822519) % 2**32)
    u ^= u >> np.uint32(15)
    u = u * np.uint32(2246822519)
    u ^= u >> np.uint32(13)
    return (u >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)


def values(kind):
    u = uniform(3, 20000)
    if kind == "outliers":  # one in 2000 far out
        return np.where(np.arange(20000) % 2000 == 7, np.float32(9), u * u)
    return u * np.float32(6)


def divergence(counts, bins, levels):
    """Relative entropy of the clipped histogram to the one in `levels` levels."""
    p = counts[:bins].copy()
    p[-1] += counts[bins:].sum()
    q = np.zeros(bins)
    own = counts[:bins]
    for level in range(levels):
        a, b = level * bins // levels, max((level + 1) * bins // levels, level * bins // levels + 1)
        used = p[a:b] > 0
        if used.any():
            q[a:b][used] = max(own[a:b].sum(), 0.5) / used.sum()
    p, q = p / p.sum(), q / own.sum()
    return float((p[p > 0] * np.log(p[p > 0] / q[p > 0])).sum())


def reach(x, levels):
    x = np.abs(x.astype(np.float64))
    top = x.max()
    counts = np.histogram(x[x > 0], bins=4096, range=(0, top))[0].astype(float)
    counts[0] = 0
    tried = range(levels, 4097, 8)
    all = [divergence(counts, b, levels) for b in tried]
    best = int(np.argmin(all))
    return tried[best] / 4096 * top


out = {
    "singular": [{"kind": k, "rows": n, "columns": m,
                  "values": np.linalg.svd(MATRICES[k](n, m), compute_uv=False).tolist()} for k, n, m in SHAPES],
    "entropy": [{"kind": k, "reach": reach(values(k), levels)} for k, levels in [("outliers", 256), ("flat", 256)]],
}
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "low_rank.json")
with open(path, "w") as f:
    json.dump(out, f, indent=0)
    f.write("\n")
