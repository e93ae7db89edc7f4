"""Makes the NumPy files that the tests of OunceFormats read. Needs NumPy; run in this folder."""
import json
import zlib

import numpy as np

TYPES = "f2 f4 f8 i1 u1 i2 u2 i4 u4 i8 u8 b1".split()


def array(code, order="<"):
    """Twelve values that show the ends of the type's range."""
    if code == "b1":
        return (np.arange(12) % 3 == 0).reshape(3, 4)
    dtype = np.dtype(order + code)
    if dtype.kind == "f":
        return ((np.arange(12) - 5) / 4).astype(dtype).reshape(3, 4)
    info = np.iinfo(dtype)
    values = [info.min, info.max] + [int(v) for v in range(10)]
    return np.array(values, dtype=dtype).reshape(3, 4)


arrays = {}
for code in TYPES:
    arrays[f"{code}_c"] = array(code)
    arrays[f"{code}_f"] = np.asfortranarray(array(code))
    if code[1] != "1":
        arrays[f"{code}_big"] = array(code, ">")
arrays["scalar"] = np.float32(2.5)[()] * np.ones((), np.float32)
arrays["empty"] = np.zeros((0, 3), np.int16)
arrays["line"] = np.arange(5, dtype=np.int32)
arrays["cube"] = np.asfortranarray(np.arange(24, dtype=np.int32).reshape(2, 3, 4))
arrays["long"] = (np.arange(6000) % 251).astype(np.uint8).reshape(60, 100)

np.savez("stored.npz", **arrays)
np.savez_compressed("deflated.npz", **arrays)
for version in ((1, 0), (2, 0), (3, 0)):
    with open(f"version{version[0]}.npy", "wb") as file:
        np.lib.format.write_array(file, arrays["line"], version=version)

streams = []
rng = np.random.default_rng(7)
text = b"".join(bytes([65 + int(v)]) for v in rng.geometric(0.3, 3000) % 20)
mixed = text + bytes(rng.integers(0, 256, 3000, dtype=np.uint8)) + text[::-1] + text[:500] * 4
for name, content, level, strategy in [
    ("stored", mixed[:4000], 0, zlib.Z_DEFAULT_STRATEGY),
    ("fixed", text, 9, zlib.Z_FIXED),
    ("dynamic", mixed, 9, zlib.Z_DEFAULT_STRATEGY),
    ("huffman only", text, 6, zlib.Z_HUFFMAN_ONLY),
    ("runs", bytes(70000), 9, zlib.Z_DEFAULT_STRATEGY),
    ("empty", b"", 6, zlib.Z_DEFAULT_STRATEGY),
]:
    packer = zlib.compressobj(level, zlib.DEFLATED, -15, 9, strategy)
    packed = packer.compress(content) + packer.flush()
    streams.append({"name": name, "packed": packed.hex(), "size": len(content), "crc32": zlib.crc32(content)})

expected = {
    name: {"dtype": a.dtype.name, "shape": list(a.shape), "values": [float(v) for v in a.ravel()]}
    for name, a in arrays.items()
}
with open("numpy.json", "w") as file:
    json.dump({"arrays": expected, "order": list(arrays), "streams": streams}, file, indent=0)
    file.write("\n")
