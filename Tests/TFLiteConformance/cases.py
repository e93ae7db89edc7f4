"""Small models, one operator each (or a few), in the element types that LiteRT computes them in."""

import numpy as np
import tflite

from flat import Model

CASES = []
RELU, TANH = 1, 4


class Case:
    def __init__(self, name, seed=0, steps=1, relative=1e-4, absolute=1e-5):
        self.name, self.steps, self.relative, self.absolute = name, steps, relative, absolute
        self.model = Model()
        self.g = self.model.main
        self.rng = np.random.default_rng(seed + sum(map(ord, name)))
        self.values = []
        # Which kernels are the oracle: LiteRT's reference ones, where those are wrong its "plain" ones, or the "default"
        # with XNNPACK, which rounds the inputs of layers on floats in its own way.
        self.kernels = "reference"

    def input(self, shape, dtype="float32", low=-2.0, high=2.0, scale=None, zero=0):
        index = self.g.input(shape, dtype, scale=scale, zero=zero)
        if dtype.startswith("float"):
            value = self.rng.uniform(low, high, shape)
        elif dtype == "bool":
            value = self.rng.integers(0, 2, shape)
        elif scale is not None:
            limits = np.iinfo(dtype)
            value = self.rng.integers(limits.min, limits.max + 1, shape)
        else:
            value = self.rng.integers(int(low), int(high) + 1, shape)
        self.values.append(np.asarray(value).astype(dtype))
        return index

    def output(self, dtype="float32", shape=(1,), **keys):
        index = self.g.tensor(shape, dtype, **keys)
        self.g.outputs.append(index)
        return index

    def add(self):
        CASES.append(self)


def grid(dtype, real=2.0):
    """Scale and zero point for numbers around zero."""
    if dtype == "int8":
        return {"scale": real * 2 / 255, "zero": -3}
    if dtype == "uint8":
        return {"scale": real * 2 / 255, "zero": 125}
    if dtype == "int16":
        return {"scale": real / 32767, "zero": 0}
    return {}


def elementwise():
    unary = {
        "ABS": (), "CEIL": ("float32",), "FLOOR": ("float32",), "ROUND": ("float32",), "SIN": ("float32",),
        "COS": ("float32",), "EXP": (), "NEG": ("float32",), "ELU": (), "HARD_SWISH": (), "LOGISTIC": (),
        "TANH": (), "RELU": (), "RELU6": (), "RELU_N1_TO_1": (), "RELU_0_TO_1": ("float32",), "SIGN": ("float32",),
        "SQUARE": ("float32",), "LOG_SOFTMAX": (), "ZEROS_LIKE": ("float32",),
    }
    options = {"ABS": "AbsOptions", "EXP": "ExpOptions", "NEG": "NegOptions", "SQUARE": "SquareOptions"}
    for name, types in unary.items():
        for dtype in types or ("float32", "int8"):
            c = Case(f"{name.lower()}_{dtype}")
            x = c.input([2, 3, 4], dtype, **grid(dtype))
            out = grid(dtype, 8.0 if name in ("EXP", "LOG_SOFTMAX", "SQUARE") else 2.0)
            if dtype == "int8" and name == "LOGISTIC":
                out = {"scale": 1 / 256, "zero": -128}
            if dtype == "int8" and name == "TANH":
                out = {"scale": 1 / 128, "zero": 0}
            if dtype == "int8" and name == "LOG_SOFTMAX":
                out = {"scale": 16 / 256, "zero": 127}
            if dtype == "int8" and name in ("RELU_N1_TO_1",):
                out = grid(dtype)
            c.g.op(name, [x], [c.output(dtype, [2, 3, 4], **out)], options.get(name))
            c.add()
    for name in ("SQRT", "RSQRT", "LOG"):
        c = Case(f"{name.lower()}_float32")
        c.g.op(name, [c.input([3, 5], low=0.1, high=4)], [c.output()])
        c.add()
    for approximate in (False, True):
        c = Case(f"gelu_{approximate}")
        c.g.op("GELU", [c.input([3, 7])], [c.output()], "GeluOptions", Approximate=approximate)
        c.add()
    for dtype in ("float32", "int8"):
        c = Case(f"leaky_relu_{dtype}")
        x = c.input([3, 7], dtype, **grid(dtype))
        c.g.op("LEAKY_RELU", [x], [c.output(dtype, **grid(dtype))], "LeakyReluOptions", Alpha=0.2)
        c.add()
        c = Case(f"prelu_{dtype}")
        x = c.input([2, 3, 4], dtype, **grid(dtype))
        slope = c.rng.uniform(-1, 1, [1, 1, 4]).astype("float32")
        a = c.g.constant(slope) if dtype == "float32" else c.g.constant(
            c.rng.integers(-127, 128, [1, 1, 4]).astype("int8"), scale=1 / 127, zero=0)
        c.g.op("PRELU", [x, a], [c.output(dtype, **grid(dtype))])
        c.add()
        for beta in (1.0, 0.5):
            c = Case(f"softmax_{dtype}_{beta}")
            x = c.input([4, 9], dtype, **grid(dtype, 6.0))
            out = {"scale": 1 / 256, "zero": -128} if dtype == "int8" else {}
            c.g.op("SOFTMAX", [x], [c.output(dtype, **out)], "SoftmaxOptions", Beta=beta)
            c.add()
    c = Case("logical_not")
    c.g.op("LOGICAL_NOT", [c.input([5], "bool")], [c.output("bool")])
    c.add()


def binary():
    arithmetic = {"ADD": "AddOptions", "SUB": "SubOptions", "MUL": "MulOptions", "DIV": "DivOptions"}
    for name, options in arithmetic.items():
        for dtype in ("float32", "int32", "int8", "uint8", "int16"):
            if (name, dtype) in (("DIV", "int8"), ("DIV", "int16"), ("DIV", "uint8")):
                continue
            for activation in (0, RELU):
                for other in ([2, 3, 4], [1, 4]):
                    c = Case(f"{name.lower()}_{dtype}_{activation}_{len(other)}", steps=0 if dtype == "int32" else 1)
                    a = c.input([2, 3, 4], dtype, low=1, high=9, **grid(dtype))
                    b = c.input(other, dtype, low=1, high=9, **grid(dtype, 1.5))
                    y = c.output(dtype, **grid(dtype, 3.0))
                    c.g.op(name, [a, b], [y], options, FusedActivationFunction=activation)
                    c.add()
    for activation in (2, 3):
        c = Case(f"add_float32_activation{activation}")
        y = c.output()
        c.g.op("ADD", [c.input([3, 4], low=-9, high=9), c.input([3, 4])], [y], "AddOptions",
               FusedActivationFunction=activation)
        c.add()
    for name in ("MAXIMUM", "MINIMUM"):
        for dtype in ("float32", "int32", "int8", "int16"):
            c = Case(f"{name.lower()}_{dtype}", steps=0)
            a, b = c.input([2, 3], dtype, -9, 9, **grid(dtype)), c.input([3], dtype, -9, 9, **grid(dtype))
            c.g.op(name, [a, b], [c.output(dtype, **grid(dtype))])
            c.add()
    for name in ("FLOOR_DIV", "FLOOR_MOD", "POW", "SQUARED_DIFFERENCE"):
        for dtype in ("float32", "int32"):
            c = Case(f"{name.lower()}_{dtype}", steps=0)
            low = 0.5 if dtype == "float32" else 1
            a = c.input([4, 5], dtype, low if name == "POW" else -9, 9)
            b = c.input([4, 5], dtype, low, 3)
            c.g.op(name, [a, b], [c.output(dtype)])
            c.add()
    c = Case("squared_difference_int8")
    a, b = c.input([4, 5], "int8", **grid("int8")), c.input([4, 5], "int8", **grid("int8"))
    c.g.op("SQUARED_DIFFERENCE", [a, b], [c.output("int8", **grid("int8", 8.0))])
    c.add()
    c = Case("atan2")
    c.g.op("ATAN2", [c.input([6, 6]), c.input([6, 6])], [c.output()])
    c.add()
    for name in ("LOGICAL_AND", "LOGICAL_OR"):
        c = Case(name.lower())
        c.g.op(name, [c.input([9], "bool"), c.input([9], "bool")], [c.output("bool")])
        c.add()
    for name in ("EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL"):
        for dtype in ("float32", "int32", "int8"):
            c = Case(f"{name.lower()}_{dtype}", steps=0)
            a, b = c.input([4, 6], dtype, -2, 2, **grid(dtype)), c.input([6], dtype, -2, 2, **grid(dtype))
            c.g.op(name, [a, b], [c.output("bool")])
            c.add()
    c = Case("add_n")
    c.g.op("ADD_N", [c.input([2, 3]) for _ in range(3)], [c.output()])
    c.add()
    for name in ("SELECT", "SELECT_V2"):
        for dtype in ("float32", "int8"):
            c = Case(f"{name.lower()}_{dtype}", steps=0)
            p = c.input([3] if name == "SELECT" else [3, 1], "bool")
            a, b = c.input([3, 4], dtype, **grid(dtype)), c.input([3, 4], dtype, **grid(dtype))
            c.g.op(name, [p, a, b], [c.output(dtype, **grid(dtype))])
            c.add()
    for a, b in (("float32", "int32"), ("int32", "float32"), ("int8", "float32"), ("bool", "float32")):
        c = Case(f"cast_{a}_{b}", steps=0)
        c.g.op("CAST", [c.input([7], a, -9, 9)], [c.output(b)], "CastOptions")
        c.add()


def reductions():
    for name in ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD"):
        for dtype in ("float32", "int8", "int32"):
            if (name, dtype) in (("REDUCE_PROD", "int8"), ("MEAN", "int32")):
                continue
            for axes, keep in (([1, 2], False), ([-1], True)):
                c = Case(f"{name.lower()}_{dtype}_{len(axes)}")
                c.kernels = "plain" if name == "SUM" and dtype == "int8" else "reference"
                x = c.input([2, 3, 4, 5], dtype, -3, 3, **grid(dtype))
                out = grid(dtype, 6.0) if name == "SUM" else grid(dtype)
                c.g.op(name, [x, c.g.constant(np.int32(axes))], [c.output(dtype, **out)], "ReducerOptions",
                       KeepDims=keep)
                c.add()
    for name in ("REDUCE_ANY", "REDUCE_ALL"):
        c = Case(name.lower())
        c.g.op(name, [c.input([3, 4], "bool"), c.g.constant(np.int32([1]))], [c.output("bool")], "ReducerOptions")
        c.add()
    for name in ("ARG_MAX", "ARG_MIN"):
        for dtype in ("float32", "int8"):
            c = Case(f"{name.lower()}_{dtype}", steps=0)
            x = c.input([3, 4, 5], dtype, **grid(dtype))
            c.g.op(name, [x, c.g.constant(np.int32(1))], [c.output("int64")],
                   "ArgMaxOptions" if name == "ARG_MAX" else "ArgMinOptions", OutputType=4)
            c.add()
    for exclusive, reverse in ((False, False), (True, True)):
        c = Case(f"cumsum_{exclusive}")
        c.g.op("CUMSUM", [c.input([2, 5, 3]), c.g.constant(np.int32(1))], [c.output()], "CumsumOptions",
               Exclusive=exclusive, Reverse=reverse)
        c.add()
    c = Case("topk")
    c.g.op("TOPK_V2", [c.input([3, 9]), c.g.constant(np.int32(4))], [c.output(), c.output("int32")],
           "TopKV2Options")
    c.add()
    c = Case("l2_normalization")
    c.g.op("L2_NORMALIZATION", [c.input([2, 3, 8])], [c.output()], "L2NormOptions")
    c.add()
    c = Case("local_response_normalization")
    c.kernels = "plain"
    c.g.op("LOCAL_RESPONSE_NORMALIZATION", [c.input([1, 3, 3, 9])], [c.output()],
           "LocalResponseNormalizationOptions", Radius=2, Bias=1.0, Alpha=0.3, Beta=0.75)
    c.add()


def movement():
    def case(name, op, dims, others=(), dtype="float32", outputs=1, options=None, first=True, **values):
        c = Case(f"{name}_{dtype}", steps=0)
        x = c.input(dims, dtype, **grid(dtype))
        rest = [c.g.constant(np.asarray(o, np.int32)) for o in others]
        ys = [c.output(dtype, [1] * len(dims), **grid(dtype)) for _ in range(outputs)]
        c.g.op(op, [x] + rest if first else rest + [x], ys, options, **values)
        c.add()

    def case_slice(t):
        c = Case(f"slice_{t}", steps=0)
        ends = [c.g.constant(np.int32(v)) for v in ([1, 0], [2, -1])]
        c.g.op("SLICE", [c.input([4, 5], t, **grid(t))] + ends, [c.output(t, [2, 5], **grid(t))])
        c.add()

    for t in ("float32", "int8", "uint8", "int16"):
        case("reshape", "RESHAPE", [2, 3, 4], ([4, -1],), t, options="ReshapeOptions")
        case("transpose", "TRANSPOSE", [2, 3, 4], ([2, 0, 1],), t)
        case_slice(t)
        case("unpack", "UNPACK", [2, 3, 4], (), t, 3, "UnpackOptions", Num=3, Axis=1)
        case("split", "SPLIT", [2, 6], ([1],), t, 3, "SplitOptions", False, NumSplits=3)
        case("split_v", "SPLIT_V", [2, 6], ([1, 3, 2], 1), t, 3, "SplitVOptions", NumSplits=3)
        case("expand_dims", "EXPAND_DIMS", [2, 3], (1,), t)
        case("squeeze", "SQUEEZE", [2, 1, 3, 1], (), t, options="SqueezeOptions", SqueezeDims=[1])
    for t in ("float32", "int8"):
        case("tile", "TILE", [2, 3], ([2, 3],), t)
        case("pad", "PAD", [2, 3, 3, 2], ([[0, 0], [1, 2], [0, 1], [0, 0]],), t)
        case("mirror_pad", "MIRROR_PAD", [3, 4], ([[1, 2], [2, 1]],), t, options="MirrorPadOptions", Mode=0)
        case("mirror_pad_symmetric", "MIRROR_PAD", [3, 4], ([[1, 2], [2, 1]],), t, options="MirrorPadOptions", Mode=1)
        case("space_to_depth", "SPACE_TO_DEPTH", [2, 4, 6, 3], (), t, options="SpaceToDepthOptions", BlockSize=2)
        case("depth_to_space", "DEPTH_TO_SPACE", [2, 2, 3, 12], (), t, options="DepthToSpaceOptions", BlockSize=2)
        case("space_to_batch", "SPACE_TO_BATCH_ND", [1, 4, 5, 2], ([2, 3], [[1, 1], [0, 1]]), t)
        case("batch_to_space", "BATCH_TO_SPACE_ND", [6, 2, 3, 2], ([2, 3], [[1, 0], [2, 1]]), t)
        case("gather", "GATHER", [4, 5, 3], ([[2, 0], [3, 3]],), t, options="GatherOptions", Axis=1)
        case("gather_nd", "GATHER_ND", [4, 5, 3], ([[2, 0], [3, 3]],), t)
        case("resize_nearest", "RESIZE_NEAREST_NEIGHBOR", [1, 3, 4, 2], ([5, 9],), t,
             options="ResizeNearestNeighborOptions")
        case("strided_slice", "STRIDED_SLICE", [5, 6, 4], ([1, 0, 1], [5, 6, 3], [2, 1, 1]), t,
             options="StridedSliceOptions", BeginMask=2, EndMask=1, ShrinkAxisMask=4)
    case("strided_slice_back", "STRIDED_SLICE", [5, 6], ([4, -1], [0, 0], [-2, -1]), options="StridedSliceOptions",
         EndMask=2)
    case("strided_slice_new_axis", "STRIDED_SLICE", [5, 6], ([0, 0, 1], [0, 0, 4], [1, 1, 1]),
         options="StridedSliceOptions", EllipsisMask=1, NewAxisMask=2)
    case("reverse", "REVERSE_V2", [3, 4, 2], ([1],))
    case("reverse_sequence", "REVERSE_SEQUENCE", [3, 5, 2], ([2, 5, 1],), options="ReverseSequenceOptions", SeqDim=1,
         BatchDim=0)
    case("broadcast_to", "BROADCAST_TO", [1, 3], ([4, 2, 3],))
    case("gather_batch", "GATHER", [2, 5, 3], ([[2, 0], [3, 3]],), options="GatherOptions", Axis=1, BatchDims=1)
    case("embedding_lookup", "EMBEDDING_LOOKUP", [7, 3], ([2, 0, 6],), first=False)
    case("matrix_diag", "MATRIX_DIAG", [2, 3])
    case("unsorted_segment_sum", "UNSORTED_SEGMENT_SUM", [4, 3], ([0, 2, 0, 1], 3))
    case("unsorted_segment_max", "UNSORTED_SEGMENT_MAX", [4, 3], ([0, 2, 0, 1], 3))
    case("segment_sum", "SEGMENT_SUM", [4, 3], ([0, 0, 1, 2],))
    for aligned, half in ((False, False), (True, False), (False, True)):
        for name, op in (("nearest", "RESIZE_NEAREST_NEIGHBOR"), ("bilinear", "RESIZE_BILINEAR")):
            options = "ResizeNearestNeighborOptions" if name == "nearest" else "ResizeBilinearOptions"
            for size in ([7, 9], [2, 3]):
                case(f"resize_{name}_{aligned}_{half}_{size[0]}", op, [1, 4, 6, 3], (size,), options=options,
                     AlignCorners=aligned, HalfPixelCenters=half)
    c = Case("resize_bilinear_int8")
    x = c.input([1, 4, 6, 3], "int8", **grid("int8"))
    c.g.op("RESIZE_BILINEAR", [x, c.g.constant(np.int32([7, 9]))], [c.output("int8", **grid("int8"))],
           "ResizeBilinearOptions", HalfPixelCenters=True)
    c.add()
    for t in ("float32", "int8", "uint8", "int16"):
        c = Case(f"concat_{t}")
        xs = [c.input([2, n], t, **grid(t)) for n in (1, 3, 2)]
        c.g.op("CONCATENATION", xs, [c.output(t, **grid(t))], "ConcatenationOptions", Axis=1)
        c.add()
        c = Case(f"pack_{t}", steps=0)
        xs = [c.input([2, 3], t, **grid(t)) for _ in range(3)]
        c.g.op("PACK", xs, [c.output(t, **grid(t))], "PackOptions", ValuesCount=3, Axis=1)
        c.add()
    c = Case("scatter_nd")
    x = c.input([3, 4])
    c.g.op("SCATTER_ND", [c.g.constant(np.int32([[1], [0], [1]])), x, c.g.constant(np.int32([3, 4]))], [c.output()])
    c.add()
    c = Case("one_hot")
    indices = c.input([4], "int32", 0, 4)
    rest = [c.g.constant(np.int32(5)), c.g.constant(np.float32(2)), c.g.constant(np.float32(-1))]
    c.g.op("ONE_HOT", [indices] + rest, [c.output()], "OneHotOptions", Axis=-1)
    c.add()
    c = Case("padv2")
    c.g.op("PADV2", [c.input([3, 2]), c.g.constant(np.int32([[1, 1], [0, 2]])), c.g.constant(np.float32(1.5))],
           [c.output()])
    c.add()
    c = Case("dynamic_update_slice")
    c.g.op("DYNAMIC_UPDATE_SLICE", [c.input([4, 5]), c.input([2, 2]), c.g.constant(np.int32([1, 9]))], [c.output()])
    c.add()
    c = Case("shape_reshape")
    # Extents computed in the graph: Shape, StridedSlice, Pack, Reshape.
    x = c.input([2, 3, 4])
    shape, first, dims = (c.g.tensor([n], "int32") for n in (3, 1, 2))
    one = [c.g.constant(np.int32([v])) for v in (0, 1, 1)]
    rest = c.g.constant(np.int32(-1))
    c.g.op("SHAPE", [x], [shape], "ShapeOptions", OutType=2)
    c.g.op("STRIDED_SLICE", [shape] + one, [first], "StridedSliceOptions", ShrinkAxisMask=1)
    c.g.op("PACK", [first, rest], [dims], "PackOptions", ValuesCount=2)
    c.g.op("RESHAPE", [x, dims], [c.output()])
    c.add()
    c = Case("fill_range")
    x = c.input([4])
    numbers, filled, sum_ = c.g.tensor([4]), c.g.tensor([4]), c.g.tensor([4])
    limits = [c.g.constant(np.float32(v)) for v in (1, 3, 0.5)]
    c.g.op("RANGE", limits, [numbers])
    c.g.op("FILL", [c.g.constant(np.int32([4])), c.g.constant(np.float32(3))], [filled])
    c.g.op("ADD", [numbers, filled], [sum_], "AddOptions")
    c.g.op("ADD", [x, sum_], [c.output()], "AddOptions")
    c.add()


def layer(c, op, x, weights, outputs, kind, options, activation=0, out=3.0, axis=0, out_shape=(1,), **values):
    """A layer in one of the ways in which TFLite quantises it."""
    rng = c.rng
    if kind.startswith("hybrid"):
        c.kernels = "default"
    if kind in ("float32", "float16"):
        w, b = rng.uniform(-1, 1, weights), rng.uniform(-1, 1, outputs).astype("float32")
        if kind == "float16":
            half, full = c.g.constant(w.astype("float16")), c.g.tensor(weights)
            c.g.op("DEQUANTIZE", [half], [full], "DequantizeOptions")
            w = full
        else:
            w = c.g.constant(w.astype("float32"))
        b, y = c.g.constant(b), c.output("float32", out_shape)
    elif kind.startswith("hybrid"):
        per_channel = kind != "hybrid_tensor"
        scales = rng.uniform(0.005, 0.01, outputs) if per_channel else 0.008
        w = c.g.constant(rng.integers(-127, 128, weights).astype("int8"), scale=scales, zero=0, axis=axis)
        b, y = c.g.constant(rng.uniform(-1, 1, outputs).astype("float32")), c.output("float32", out_shape)
    elif kind == "uint8":
        w = c.g.constant(rng.integers(0, 256, weights).astype("uint8"), scale=0.008, zero=121)
        b = c.g.constant(rng.integers(-99, 99, outputs).astype("int32"), scale=0.008 * 4 / 255, zero=0)
        y = c.output("uint8", out_shape, **grid("uint8", out))
    else:
        scales = np.float32(rng.uniform(0.005, 0.01, outputs))
        dtype = "int16" if kind == "int16" else "int8"
        scale = np.float32(grid(dtype)["scale"])
        low, high = (-7, 8) if kind == "int4" else (-127, 128)
        data = rng.integers(low, high, weights).astype("int8")
        w = c.g.constant(data, dtype="int4" if kind == "int4" else "int8", scale=scales, zero=0, axis=axis)
        b = c.g.constant(rng.integers(-99, 99, outputs).astype("int64" if dtype == "int16" else "int32"),
                         scale=scales * scale, zero=0)
        y = c.output(dtype, out_shape, **grid(dtype, out))
    c.g.op(op, [x, w, b], [y], options, FusedActivationFunction=activation, **values)
    c.add()


KINDS = ("float32", "float16", "hybrid", "int8", "uint8", "int16")


def element(kind):
    return kind if kind in ("int8", "uint8", "int16") else "int8" if kind == "int4" else "float32"


def layers():
    for kind in KINDS + ("hybrid_tensor", "int4"):
        t = element(kind)
        # Sums in float32 for 16 bits: a few steps of 2^-15.
        steps = 4 if kind == "int16" else 1
        for activation in (0, RELU, 3):
            c = Case(f"fully_connected_{kind}_{activation}", steps=steps)
            layer(c, "FULLY_CONNECTED", c.input([3, 8], t, **grid(t)), [5, 8], 5 if kind not in ("hybrid",) else 5,
                  "hybrid_tensor" if kind == "hybrid" else kind, "FullyConnectedOptions", activation, 8.0,
                  AsymmetricQuantizeInputs=kind == "hybrid")
        if kind == "int4":
            continue
        for padding in (0, 1):
            c = Case(f"conv_{kind}_{padding}", steps=steps)
            layer(c, "CONV_2D", c.input([2, 6, 7, 3], t, **grid(t)), [4, 3, 3, 3], 4, kind, "Conv2DOptions", RELU, 8.0,
                  Padding=padding, StrideH=2, StrideW=1)
            if kind == "hybrid_tensor":
                continue
            c = Case(f"conv_pointwise_{kind}_{padding}", steps=steps)
            layer(c, "CONV_2D", c.input([2, 6, 7, 3], t, **grid(t)), [4, 1, 1, 3], 4, kind, "Conv2DOptions", 0, 8.0,
                  Padding=padding, StrideH=1, StrideW=1)
            c = Case(f"depthwise_{kind}_{padding}", steps=steps)
            layer(c, "DEPTHWISE_CONV_2D", c.input([1, 6, 7, 3], t, **grid(t)), [1, 3, 3, 6], 6, kind,
                  "DepthwiseConv2DOptions", 0, 8.0, axis=3, Padding=padding, StrideH=1, StrideW=1, DepthMultiplier=2,
                  DilationHFactor=2, DilationWFactor=1)
    c = Case("conv_dilated")
    layer(c, "CONV_2D", c.input([1, 9, 8, 2]), [3, 3, 2, 2], 3, "float32", "Conv2DOptions", Padding=0, StrideH=1,
          StrideW=1, DilationHFactor=2, DilationWFactor=3)
    c = Case("conv_grouped")
    layer(c, "CONV_2D", c.input([1, 5, 5, 4]), [6, 3, 3, 2], 6, "float32", "Conv2DOptions", Padding=1, StrideH=1,
          StrideW=1)
    c = Case("fully_connected_keep_dims")
    layer(c, "FULLY_CONNECTED", c.input([2, 3, 4, 8]), [5, 8], 5, "float32", "FullyConnectedOptions", KeepNumDims=True)
    c = Case("fully_connected_flattens")
    layer(c, "FULLY_CONNECTED", c.input([2, 2, 4]), [5, 8], 5, "float32", "FullyConnectedOptions")
    for kind in ("float32", "int8", "int16"):
        for padding, size in ((0, [1, 8, 12, 3]), (1, [1, 9, 15, 3])):
            c = Case(f"transpose_conv_{kind}_{padding}", steps=4 if kind == "int16" else 1)
            x = c.input([1, 4, 6, 2], kind, **grid(kind))
            y = c.output(kind, **grid(kind, 8.0))
            if kind == "float32":
                w = c.g.constant(c.rng.uniform(-1, 1, [3, 3, 5, 2]).astype("float32"))
            else:
                w = c.g.constant(c.rng.integers(-127, 128, [3, 3, 5, 2]).astype("int8"),
                                 scale=c.rng.uniform(0.005, 0.01, 3), zero=0)
            c.g.op("TRANSPOSE_CONV", [c.g.constant(np.int32(size)), w, x], [y], "TransposeConvOptions",
                   Padding=padding, StrideH=2, StrideW=2)
            c.add()
    c = Case("conv_3d")
    w = c.g.constant(c.rng.uniform(-1, 1, [2, 3, 2, 3, 4]).astype("float32"))
    c.g.op("CONV_3D", [c.input([1, 4, 5, 6, 3]), w, c.g.constant(c.rng.uniform(-1, 1, 4).astype("float32"))],
           [c.output()], "Conv3DOptions", Padding=0, StrideD=1, StrideH=2, StrideW=1, DilationDFactor=1,
           DilationHFactor=1, DilationWFactor=1)
    c.add()
    for name in ("AVERAGE_POOL_2D", "MAX_POOL_2D", "L2_POOL_2D"):
        for t in ("float32",) if name[0] == "L" else ("float32", "int8", "uint8", "int16"):
            for padding in (0, 1):
                c = Case(f"{name.lower()}_{t}_{padding}")
                c.g.op(name, [c.input([1, 7, 6, 3], t, **grid(t))], [c.output(t, **grid(t))], "Pool2DOptions",
                       Padding=padding, StrideH=2, StrideW=2, FilterHeight=3, FilterWidth=2,
                       FusedActivationFunction=0)
                c.add()
    for x, y in ((False, False), (True, False), (False, True)):
        for t in ("float32", "int8"):
            c = Case(f"batch_matmul_{t}_{x}_{y}")
            a = c.input([2, 3, 5] if not x else [2, 5, 3], t, **grid(t))
            b = c.input([2, 5, 4] if not y else [2, 4, 5], t, **grid(t))
            c.g.op("BATCH_MATMUL", [a, b], [c.output(t, **grid(t, 16.0))], "BatchMatMulOptions", AdjX=x, AdjY=y)
            c.add()
    for m, k, n in ((1, 40, 70), (50, 33, 17), (29, 131, 66)):
        c = Case(f"batch_matmul_int8_{m}_{k}_{n}")
        a, b = c.input([2, 3, m, k], "int8", **grid("int8")), c.input([1, 3, k, n], "int8", scale=0.01, zero=20)
        c.g.op("BATCH_MATMUL", [a, b], [c.output("int8", scale=0.1, zero=5)], "BatchMatMulOptions", AdjX=False,
               AdjY=False)
        c.add()


def grids():
    for a, b in (("float32", "int8"), ("float32", "uint8"), ("float32", "int16"), ("int8", "uint8"), ("uint8", "int8"),
                 ("int8", "int8"), ("int16", "int8"), ("int8", "int16"), ("int16", "int16")):
        c = Case(f"quantize_{a}_{b}")
        c.g.op("QUANTIZE", [c.input([50], a, **grid(a))], [c.output(b, **grid(b, 1.5))], "QuantizeOptions")
        c.add()
    for t in ("int8", "uint8", "int16"):
        c = Case(f"dequantize_{t}")
        c.g.op("DEQUANTIZE", [c.input([50], t, **grid(t))], [c.output()], "DequantizeOptions")
        c.add()
    c = Case("dequantize_per_axis")
    w = c.g.constant(c.rng.integers(-127, 128, [3, 4]).astype("int8"), scale=[0.1, 0.2, 0.3], zero=0)
    full = c.g.tensor([3, 4])
    c.g.op("DEQUANTIZE", [w], [full], "DequantizeOptions")
    c.g.op("ADD", [c.input([3, 4]), full], [c.output()], "AddOptions")
    c.add()
    c = Case("fake_quant")
    c.g.op("FAKE_QUANT", [c.input([40])], [c.output()], "FakeQuantOptions", Min=-1.0, Max=1.5, NumBits=8)
    c.add()


def lstm_weights(c, kind, cells, width, outputs, features, first=True):
    """The inputs 1 to 17 of an LSTM: weights, peepholes, biases, projection."""
    rng = c.rng

    def matrix(rows, columns):
        if kind == "float32":
            return c.g.constant(rng.uniform(-0.5, 0.5, [rows, columns]).astype("float32"))
        return c.g.constant(rng.integers(-127, 128, [rows, columns]).astype("int8"), scale=0.004, zero=0)

    def numbers(size, dtype, scale, high):
        if kind == "hybrid" and dtype == "int16":
            return c.g.constant(rng.integers(-127, 128, size).astype("int8"), scale=0.004, zero=0)
        if kind != "int8":
            return c.g.constant(rng.uniform(-0.5, 0.5, size).astype("float32"))
        return c.g.constant(rng.integers(-high, high, size).astype(dtype), scale=scale, zero=0)

    gates = 3 if "cifg" in features else 4
    absent = [-1] * (4 - gates)
    inputs = absent + [matrix(cells, width) for _ in range(gates)]
    inputs += absent + [matrix(cells, outputs) for _ in range(gates)]
    if "peephole" in features:
        inputs += absent + [numbers(cells, "int16", 0.5 / 32767, 32767) for _ in range(gates - 1)]
    else:
        inputs += [-1] * 3
    inputs += absent + [numbers(cells, "int32", 0.004 * 4 / 255, 2000) for _ in range(gates)]
    if "projection" in features:
        inputs += [matrix(outputs, cells), numbers(outputs, "int32", 0.004 / 128, 500)]
    else:
        inputs += [-1, -1]
    return inputs


def recurrent():
    for features in ((), ("peephole",), ("cifg",), ("projection",), ("norm",), ("cifg", "peephole", "projection"),
                     ("clip",), ("time_major",)):
        for kind in ("float32", "hybrid", "int8"):
            # Rounded state: a place that falls on the other side shows in all later steps.
            c = Case(f"lstm_{'_'.join(features)}_{kind}", relative=2e-2 if kind == "hybrid" else 1e-4,
                     absolute=2e-2 if kind == "hybrid" else 1e-5, steps=1 if "norm" in features else 0)
            batch, time, width, cells = 2, 9, 6, 8
            # LiteRT's integer peepholes want as many outputs as cells.
            outputs = 5 if features == ("projection",) else cells
            t = "int8" if kind == "int8" else "float32"
            shape = [time, batch, width] if "time_major" in features else [batch, time, width]
            x = c.input(shape, t, **grid(t))
            out = {"scale": 1 / 128, "zero": 4} if kind == "int8" else {}
            state = c.g.tensor([batch, outputs], t, variable=True, **out)
            cell_grid = {"scale": 2 ** -12, "zero": 0} if kind == "int8" else {}
            cell = c.g.tensor([batch, cells], "int16" if kind == "int8" else "float32", variable=True, **cell_grid)
            inputs = [x] + lstm_weights(c, kind, cells, width, outputs, features) + [state, cell]
            if "norm" in features:
                for _ in range(4):
                    if kind == "int8":
                        inputs.append(c.g.constant(c.rng.integers(9000, 32767, cells).astype("int16"),
                                                   scale=1 / 32767, zero=0))
                    else:
                        inputs.append(c.g.constant(c.rng.uniform(0.5, 1, cells).astype("float32")))
            else:
                inputs += [-1] * 4
            between = []
            if kind == "int8":
                between = [c.g.tensor([0], "int16", scale=2 ** -11, zero=0) for _ in range(4)]
                hidden = {"scale": 1 / 120, "zero": -2} if "projection" in features else out
                between.append(c.g.tensor([0], "int8", **hidden))
            clip = 0.4 if "clip" in features else 0.0
            c.g.op("UNIDIRECTIONAL_SEQUENCE_LSTM", inputs, [c.output(t, [1], **out)],
                   "UnidirectionalSequenceLSTMOptions", between, FusedActivationFunction=TANH, CellClip=clip,
                   ProjClip=0.0, TimeMajor="time_major" in features, AsymmetricQuantizeInputs="cifg" in features)
            c.add()
    for merged in (True, False):
        c = Case(f"bidirectional_lstm_{merged}")
        # Of merged batches LiteRT computes only the first right.
        batch = 1 if merged else 2
        x = c.input([batch, 7, 6])
        inputs = [x] + lstm_weights(c, "float32", 8, 6, 8, ()) + lstm_weights(c, "float32", 8, 6, 8, ())
        inputs += [c.g.tensor([batch, 8], variable=True) for _ in range(4)] + [-1] * 9
        ys = [c.output()] if merged else [c.output(), c.output()]
        c.g.op("BIDIRECTIONAL_SEQUENCE_LSTM", inputs, ys, "BidirectionalSequenceLSTMOptions",
               FusedActivationFunction=TANH, MergeOutputs=merged, TimeMajor=False)
        c.add()

    def rnn(c, units, width):
        return [c.g.constant(c.rng.uniform(-0.5, 0.5, shape).astype("float32"))
                for shape in ([units, width], [units, units], [units])]

    for activation in (0, RELU, TANH):
        c = Case(f"sequence_rnn_{activation}")
        c.g.op("UNIDIRECTIONAL_SEQUENCE_RNN",
               [c.input([2, 7, 6])] + rnn(c, 5, 6) + [c.g.tensor([2, 5], variable=True)], [c.output()],
               "SequenceRNNOptions", FusedActivationFunction=activation)
        c.add()
    c = Case("rnn")
    c.g.op("RNN", [c.input([2, 6])] + rnn(c, 5, 6) + [c.g.tensor([2, 5], variable=True)], [c.output()], "RNNOptions",
           FusedActivationFunction=TANH)
    c.add()
    c = Case("bidirectional_rnn")
    inputs = [c.input([2, 7, 6])]
    for _ in range(2):
        inputs += rnn(c, 5, 6) + [c.g.tensor([2, 5], variable=True)]
    c.g.op("BIDIRECTIONAL_SEQUENCE_RNN", inputs + [-1] * 3, [c.output()], "BidirectionalSequenceRNNOptions",
           FusedActivationFunction=TANH, MergeOutputs=True)
    c.add()
    for kind in ("float32", "hybrid", "int8"):
        c = Case(f"svdf_{kind}", steps=1)
        t = "int8" if kind == "int8" else "float32"
        x = c.input([2, 6], t, **grid(t))
        if kind == "float32":
            w = c.g.constant(c.rng.uniform(-0.5, 0.5, [8, 6]).astype("float32"))
        else:
            w = c.g.constant(c.rng.integers(-127, 128, [8, 6]).astype("int8"), scale=0.004, zero=0)
        if kind == "int8":
            times = c.g.constant(c.rng.integers(-32767, 32767, [8, 10]).astype("int16"), scale=1 / 32767, zero=0)
            bias = c.g.constant(c.rng.integers(-9999, 9999, 4).astype("int32"), scale=0.001 / 32767, zero=0)
            state = c.g.tensor([2, 80], "int16", scale=4 / 32767, zero=0, variable=True)
        else:
            times = c.g.constant(c.rng.uniform(-1, 1, [8, 10]).astype("float32")) if kind == "float32" else \
                c.g.constant(c.rng.integers(-127, 128, [8, 10]).astype("int8"), scale=1 / 127, zero=0)
            bias = c.g.constant(c.rng.uniform(-1, 1, 4).astype("float32"))
            state = c.g.tensor([2, 80], variable=True)
        # The integer kernel counts on the type's least number to be zero.
        y = c.output(t, **({"scale": 3 / 255, "zero": -128} if kind == "int8" else {}))
        c.g.op("SVDF", [x, w, times, bias, state], [y], "SVDFOptions", Rank=2, FusedActivationFunction=RELU)
        c.add()


def control():
    c = Case("if")
    condition = c.input([1], "bool")
    x = c.input([3])
    branches = []
    for name, options in (("ADD", "AddOptions"), ("MUL", "MulOptions")):
        g = c.model.subgraph()
        a = g.input([3])
        y = g.tensor([3])
        g.op(name, [a, g.constant(np.float32([3]))], [y], options)
        g.outputs.append(y)
        branches.append(len(c.model.graphs) - 1)
    c.g.op("IF", [condition, x], [c.output()], "IfOptions", ThenSubgraphIndex=branches[0],
           ElseSubgraphIndex=branches[1])
    c.add()
    c = Case("while")
    x = c.input([3])
    start = c.g.constant(np.int32(0))
    condition, body = c.model.subgraph(), c.model.subgraph()
    i, v, holds = condition.input([], "int32"), condition.input([3]), condition.tensor([], "bool")
    condition.op("LESS", [i, condition.constant(np.int32(4))], [holds])
    condition.outputs.append(holds)
    i, v = body.input([], "int32"), body.input([3])
    j, w = body.tensor([], "int32"), body.tensor([3])
    body.op("ADD", [i, body.constant(np.int32(1))], [j], "AddOptions")
    body.op("MUL", [v, body.constant(np.float32([1.5]))], [w], "MulOptions")
    body.outputs += [j, w]
    c.g.op("WHILE", [start, x], [c.g.tensor([], "int32"), c.output("float32", [3])], "WhileOptions",
           CondSubgraphIndex=1, BodySubgraphIndex=2)
    c.add()


def selection():
    for dtype in ("float32", "uint8"):
        for by_class in (False, True):
            for classes, per_box, limit, least in ((1, 1, 10, 0.3), (4, 1, 6, 0.0), (4, 3, 8, 0.2), (3, 3, 5, 0.2)):
                # LiteRT does not set what lies behind the detections, nor, by class, behind the first class of a
                # box: such outputs are not compared.
                if by_class and per_box > 1:
                    continue
                c = Case(f"detection_{dtype}_{by_class}_{classes}_{per_box}", relative=1e-5)
                wide = {"scale": 0.05, "zero": 120} if dtype == "uint8" else {}
                boxes = c.input([1, 40, 4], dtype, **wide)
                scores = c.input([1, 40, classes + (per_box == 1)], dtype, low=0, high=1,
                                 **({"scale": 1 / 256, "zero": 0} if dtype == "uint8" else {}))
                anchors = c.rng.uniform(0.1, 0.9, [40, 4])
                if dtype == "uint8":
                    anchors = c.g.constant((anchors * 200).astype("uint8"), scale=0.005, zero=0)
                else:
                    anchors = c.g.constant(anchors.astype("float32"))
                ys = [c.output(shape=shape) for shape in ([1, limit * per_box, 4], [1, limit * per_box],
                                                          [1, limit * per_box], [1])]
                c.g.op("CUSTOM:TFLite_Detection_PostProcess", [boxes, scores, anchors], ys, max_detections=limit,
                       max_classes_per_detection=per_box, detections_per_class=5, nms_score_threshold=least,
                       nms_iou_threshold=0.4, num_classes=classes, y_scale=10.0, x_scale=10.0, h_scale=5.0,
                       w_scale=5.0, use_regular_nms=by_class)
                c.add()
    for version in (4, 5):
        for limit in (5, 40):
            c = Case(f"non_max_suppression_{version}_{limit}")
            numbers = [np.int32(limit), np.float32(0.3), np.float32(0.2)] + [np.float32(0)] * (version - 4)
            inputs = [c.input([20, 4], low=0, high=1), c.input([20], low=0, high=1)]
            ys = [c.output("int32", [limit])] + ([c.output("float32", [limit])] if version == 5 else [])
            c.g.op(f"NON_MAX_SUPPRESSION_V{version}", inputs + [c.g.constant(number) for number in numbers],
                   ys + [c.output("int32", [])])
            c.add()
    for dtype in ("bool", "int32", "float32"):
        for shape in ([9], [3, 4]):
            c = Case(f"where_{dtype}_{len(shape)}")
            x = c.input(shape, dtype)
            if dtype == "float32":
                c.values[0][..., ::2] = 0
            c.g.op("WHERE", [x], [c.output("int64", [1, len(shape)])])
            c.add()
    c = Case("where_gather")
    condition, x = c.input([9], "bool"), c.input([9])
    places = c.g.tensor([1, 1], "int64")
    c.g.op("WHERE", [condition], [places])
    c.g.op("GATHER_ND", [x, places], [c.output()])
    c.add()
    for dtype in ("int32", "int64", "float32"):
        c = Case(f"unique_{dtype}")
        x = c.input([12], dtype, low=-2, high=2)
        c.values[0] = np.round(c.values[0])
        c.g.op("UNIQUE", [x], [c.output(dtype), c.output("int32", [12])], "UniqueOptions",
               IdxOutType=tflite.TensorType.INT32)
        c.add()
    for block in (None, 4):
        for is_direct in (False, True):
            c = Case(f"sparse_weights_{block or 1}_{is_direct}")
            weights = c.rng.uniform(-1, 1, [6, 8]).astype("float32")
            weights[c.rng.uniform(size=[6, 8 // (block or 1)]).repeat(block or 1, 1) < 0.6] = 0
            w = c.g.sparse(weights, block)
            if is_direct:
                c.kernels = "plain"
            else:
                w = c.g.op("DENSIFY", [w], [c.g.tensor([6, 8])], "DensifyOptions")[0]
            c.g.op("FULLY_CONNECTED", [c.input([3, 8]), w, -1], [c.output()], "FullyConnectedOptions")
            c.add()


def open_extents():
    """The file leaves extents of the input open; those that it names fit the first model only."""
    for name, options in (("SUM", "ReducerOptions"), ("CONV_2D", "Conv2DOptions")):
        c = Case(f"open_extents_{name.lower()}")
        x = c.g.input([1, 1, 1, 2], signature=[-1, -1, -1, 2])
        c.values.append(c.rng.uniform(-2, 2, [2, 5, 7, 2]).astype("float32"))
        if name == "SUM":
            c.g.op(name, [x, c.g.constant(np.int32([1, 2]))], [c.output()], options)
        else:
            weights = [c.g.constant(c.rng.uniform(-1, 1, shape).astype("float32")) for shape in ([3, 3, 3, 2], [3])]
            c.g.op(name, [x] + weights, [c.output()], options, Padding=1, StrideH=1, StrideW=1)
        c.add()


for make in (elementwise, binary, reductions, movement, layers, grids, control, recurrent, selection, open_extents):
    make()


def refused():
    """Everything in it that is not supported belongs in one error."""
    model = Model()
    g = model.main
    x = g.input([1, 16], name="audio")
    for place, name in enumerate(("RFFT2D", "UNIQUE", "CUSTOM:FlexAudioSpectrogram", "CUSTOM:SignalWindow", "UNIQUE")):
        y = g.tensor([1, 16], name=f"front/{place}")
        g.op(name, [x], [y])
        x = y if place == 1 else g.inputs[0]
        g.outputs.append(y)
    places, again = g.tensor([1, 2], "int64", name="places"), g.tensor([2, 1], "int64", name="places/turned")
    g.op("WHERE", [g.inputs[0]], [places])
    g.op("TRANSPOSE", [places, g.constant(np.int32([1, 0]))], [again])
    g.outputs.append(again)
    return model


# One of each kind of arithmetic: what plain `swift test` covers.
GOLDEN = set("""
softmax_int8_0.5 add_uint8_1_3 mul_int16_0_3 gelu_True atan2 less_int8 select_float32 mean_int8_2 topk cumsum_True
strided_slice_back_float32 strided_slice_new_axis_float32 mirror_pad_int8 batch_to_space_int8 gather_batch_float32
resize_bilinear_False_True_7_float32 shape_reshape fill_range fully_connected_hybrid_0 conv_pointwise_hybrid_0
conv_uint8_0 conv_int16_0 depthwise_int8_1 fully_connected_int4_0 fully_connected_float16_0 transpose_conv_int8_1
average_pool_2d_uint8_0 batch_matmul_int8_True_False quantize_int8_uint8 quantize_int16_int8 dequantize_per_axis
fake_quant if while lstm_norm_float32 lstm_cifg_peephole_projection_float32 lstm__int8 lstm_projection_int8
lstm_norm_int8 lstm_cifg_peephole_projection_int8 lstm_clip_int8 lstm_projection_hybrid bidirectional_lstm_False
sequence_rnn_4 bidirectional_rnn svdf_int8 svdf_hybrid detection_float32_False_4_3 detection_float32_True_1_1
detection_uint8_True_4_1 non_max_suppression_4_40 non_max_suppression_5_5 where_bool_2 where_gather unique_int32
sparse_weights_1_False sparse_weights_4_True open_extents_sum open_extents_conv_2d
""".split())
