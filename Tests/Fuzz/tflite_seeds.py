"""Small TFLite models of one operator each, written without any library.

A FlatBuffer is written front to back: every table before what it refers to, so that all offsets point forward.
Source: TensorFlow's schema.fbs, version 3.
"""
import struct

FLOAT32, INT32, UINT8, BOOL, INT16, INT8 = 0, 2, 3, 6, 7, 9
WIDTH = {"b": 1, "B": 1, "h": 2, "i": 4, "I": 4, "f": 4, "q": 8}


class Writer:
    def __init__(self):
        self.bytes = bytearray()

    def align(self, size, lead=0):
        while (len(self.bytes) + lead) % size:
            self.bytes.append(0)

    def patch(self, place):
        """Makes the offset at `place` point here."""
        struct.pack_into("<I", self.bytes, place, len(self.bytes) - place)

    def write(self, value):
        """Writes a table (dict from field number to entry), list of tables, string, bytes or (format, numbers)."""
        if isinstance(value, dict):
            return self.table(value)
        if isinstance(value, str):
            value = value.encode()
        if isinstance(value, bytes):
            # Contents of tensors lie on 16 bytes.
            self.align(16, lead=4)
            start = len(self.bytes)
            self.bytes += struct.pack("<I", len(value)) + value + b"\0"
            return start
        if isinstance(value, tuple):
            kind, numbers = value
            self.align(max(4, WIDTH[kind]), lead=4)
            start = len(self.bytes)
            self.bytes += struct.pack(f"<I{len(numbers)}{kind}", len(numbers), *numbers)
            return start
        self.align(4)
        start = len(self.bytes)
        self.bytes += struct.pack("<I", len(value)) + bytes(4 * len(value))
        for index, entry in enumerate(value):
            self.align(4)
            place = start + 4 + 4 * index
            self.link(place, entry)
        return start

    def link(self, place, value):
        """Writes what an offset refers to and sets the offset."""
        start = self.write(value)
        struct.pack_into("<I", self.bytes, place, start - place)

    def table(self, fields):
        """An entry is (format, number) for a number, ("@", value) for what is referred to."""
        count = max(fields, default=-1) + 1
        size, places = 4, {}
        for field, (kind, _) in sorted(fields.items(), key=lambda entry: -WIDTH.get(entry[1][0], 4)):
            width = WIDTH.get(kind, 4)
            size += -size % width
            places[field] = size
            size += width
        self.align(8, lead=4 + 2 * count)
        directory = len(self.bytes)
        self.bytes += struct.pack("<HH", 4 + 2 * count, size)
        for field in range(count):
            self.bytes += struct.pack("<H", places.get(field, 0))
        start = len(self.bytes)
        self.bytes += struct.pack("<i", start - directory) + bytes(size - 4)
        for field, (kind, value) in fields.items():
            if kind != "@":
                struct.pack_into("<" + kind, self.bytes, start + places[field], value)
        for field, (kind, value) in fields.items():
            if kind == "@":
                self.link(start + places[field], value)
        return start


def tensor(name, dtype, shape, buffer, scale=None):
    fields = {0: ("@", ("i", shape)), 1: ("b", dtype), 2: ("I", buffer), 3: ("@", name)}
    if scale:
        fields[4] = ("@", {2: ("@", ("f", [scale])), 3: ("@", ("q", [0]))})
    return fields


def model(code, inputs, output, options=None):
    """One operator. inputs: (dtype, shape, content or None, scale); output: (dtype, shape, scale); options: (type, fields)."""
    buffers, tensors = [{}], []
    for index, (dtype, shape, content, scale) in enumerate(inputs):
        if content is not None:
            buffers.append({0: ("@", content)})
        tensors.append(tensor(f"x{index}", dtype, shape, len(buffers) - 1 if content is not None else 0, scale))
    tensors.append(tensor("y", output[0], output[1], 0, output[2]))
    count = len(inputs)
    operator = {0: ("I", 0), 1: ("@", ("i", list(range(count)))), 2: ("@", ("i", [count]))}
    if options:
        operator[3], operator[4] = ("B", options[0]), ("@", options[1])
    variable = [index for index, entry in enumerate(inputs) if entry[2] is None]
    graph = {0: ("@", tensors), 1: ("@", ("i", variable)), 2: ("@", ("i", [count])), 3: ("@", [operator]), 4: ("@", "g")}
    writer = Writer()
    writer.bytes += bytes(4) + b"TFL3"
    root = writer.write({
        0: ("I", 3), 1: ("@", [{0: ("b", min(code, 127)), 2: ("i", 1), 3: ("i", code)}]), 2: ("@", [graph]),
        3: ("@", "seed"), 4: ("@", buffers)})
    struct.pack_into("<I", writer.bytes, 0, root)
    return bytes(writer.bytes)


def ints(*numbers):
    return struct.pack(f"<{len(numbers)}i", *numbers)


def constant(dtype, shape, scale=None):
    count = 1
    for extent in shape:
        count *= extent
    content = struct.pack(f"<{count}f", *[0.5] * count) if dtype == FLOAT32 else bytes(
        {INT8: 1, UINT8: 1, BOOL: 1, INT16: 2, INT32: 4}[dtype] * count)
    return (dtype, shape, content, scale)


def models():
    image, halves = [1, 4, 4, 2], [1, 2, 2, 2]
    for dtype, scale in ((FLOAT32, None), (INT8, 0.5), (INT16, 0.25)):
        x = (dtype, image, None, scale)
        y = (dtype, image, scale)
        bias = constant(INT32 if scale else FLOAT32, [2])
        # Operators on one or two tensors of the same shape, without options.
        for code in (14, 19, 20, 21, 28, 47, 59, 73, 75, 76, 92, 101, 104, 108, 111, 116, 117, 150, 152, 158):
            yield model(code, [x], y)
        for code in (0, 18, 41, 42, 55, 57, 71, 78, 90, 95, 99):
            yield model(code, [x, x], y)
            yield model(code, [x, constant(dtype, [2], scale)], y)
        for code in (58, 61, 62, 63, 72, 71, 84, 86):
            yield model(code, [x, x], (BOOL, image, None))
        yield model(3, [x, constant(INT8 if scale else dtype, [2, 3, 3, 2], scale), bias], (dtype, halves, scale),
                    (1, {0: ("b", 0), 1: ("i", 2), 2: ("i", 2), 3: ("b", 1)}))
        yield model(4, [x, constant(INT8 if scale else dtype, [1, 3, 3, 2], scale), bias], y,
                    (2, {0: ("b", 0), 1: ("i", 1), 2: ("i", 1), 3: ("i", 1), 4: ("b", 3)}))
        yield model(67, [(INT32, [4], ints(1, 4, 4, 2), None), constant(INT8 if scale else dtype, [2, 2, 2, 2], scale),
                         (dtype, halves, None, scale), bias], y, (49, {0: ("b", 0), 1: ("i", 2), 2: ("i", 2)}))
        for code in (1, 17, 12):
            yield model(code, [x], (dtype, halves, scale),
                        (5, {0: ("b", 1), 1: ("i", 2), 2: ("i", 2), 3: ("i", 2), 4: ("i", 2), 5: ("b", 0)}))
        yield model(9, [(dtype, [1, 8], None, scale), constant(INT8 if scale else dtype, [2, 8], scale), bias],
                    (dtype, [1, 2], scale), (8, {0: ("b", 1)}))
        yield model(25, [x], (dtype, image, scale), (9, {0: ("f", 1.0)}))
        yield model(50, [x], y)
        yield model(2, [x, x], (dtype, [1, 4, 4, 4], scale), (10, {0: ("i", 3)}))
        yield model(22, [x, (INT32, [2], ints(-1, 2), None)], (dtype, [16, 2], scale))
        yield model(39, [x, (INT32, [4], ints(0, 3, 1, 2), None)], (dtype, [1, 2, 4, 4], scale))
        for code in (40, 74, 81, 82, 89):
            yield model(code, [x, (INT32, [2], ints(1, 2), None)], (dtype, [1, 2], scale), (27, {0: ("B", 0)}))
        yield model(34, [x, (INT32, [4, 2], ints(0, 0, 1, 1, 0, 1, 0, 0), None)], (dtype, [1, 6, 5, 2], scale))
        yield model(60, [x, (INT32, [4, 2], ints(0, 0, 1, 1, 0, 1, 0, 0), None), constant(dtype, [], scale)],
                    (dtype, [1, 6, 5, 2], scale))
        yield model(100, [x, (INT32, [4, 2], ints(0, 0, 1, 1, 0, 1, 0, 0), None)], (dtype, [1, 6, 5, 2], scale),
                    (77, {0: ("b", 1)}))
        yield model(65, [x, (INT32, [4], ints(0, 1, 0, 0), None), (INT32, [4], ints(1, 2, -1, 1), None)],
                    (dtype, [1, 2, 4, 1], scale))
        yield model(45, [x] + [(INT32, [4], ints(*numbers), None) for numbers in ((0, 1, 0, 0), (1, 3, 4, 2), (1, 1, 2, 1))],
                    (dtype, [2, 2, 2], scale), (32, {4: ("i", 1)}))
        for code in (23, 97):
            yield model(code, [x, (INT32, [2], ints(8, 8), None)], (dtype, [1, 8, 8, 2], scale), (15, {3: ("B", 1)}))
        yield model(5, [(dtype, [1, 2, 2, 8], None, scale)], y, (20, {0: ("i", 2)}))
        yield model(26, [x], (dtype, [1, 2, 2, 8], scale), (20, {0: ("i", 2)}))
        yield model(38, [x, (INT32, [2], ints(2, 2), None), (INT32, [2, 2], ints(0, 0, 0, 0), None)],
                    (dtype, [4, 2, 2, 2], scale))
        yield model(37, [(dtype, [4, 2, 2, 2], None, scale), (INT32, [2], ints(2, 2), None),
                         (INT32, [2, 2], ints(0, 0, 0, 0), None)], y)
        yield model(36, [x, (INT32, [2], ints(1, 0), None)], (dtype, [1, 2, 4, 2], scale), (23, {0: ("i", 1)}))
        yield model(107, [x, (INT32, [1, 2], ints(0, 1), None)], (dtype, [1, 4, 2], scale))
        yield model(69, [x, (INT32, [4], ints(1, 2, 1, 1), None)], (dtype, [1, 8, 4, 2], scale))
        yield model(130, [(dtype, [1, 2], None, scale), (INT32, [4], ints(1, 4, 4, 2), None)], y)
        yield model(105, [x, (INT32, [1], ints(2), None)], y)
        yield model(128, [x, (INT32, [1], ints(2), None)], y)
        for code in (56, 79):
            yield model(code, [x, (INT32, [1], ints(3), None)], (INT32, [1, 4, 4], None), (40, {0: ("b", INT32)}))
        yield model(70, [x, (INT32, [], ints(1), None)], (dtype, [1, 1, 4, 4, 2], scale))
        yield model(43, [x], (dtype, [4, 4, 2], scale), (30, {0: ("@", ("i", [0]))}))
        yield model(83, [x, x], (dtype, [2, 1, 4, 4, 2], scale), (59, {0: ("i", 2)}))
        yield model(54, [x, constant(dtype, [1, 1, 2], scale)], y)
        yield model(98, [x], y, (75, {0: ("f", 0.1)}))
        yield model(126, [(dtype, [1, 2, 3], None, scale), (dtype, [1, 3, 2], None, scale)], (dtype, [1, 2, 2], scale))
        yield model(53, [x], (INT32, image, None))
        yield model(77, [x], (INT32, [4], None))
        yield model(13, [x], y, (13, {0: ("i", 1), 1: ("f", 1.0), 2: ("f", 1.0), 3: ("f", 0.5)}))
        yield model(11, [x], y)
        yield model(94, [(INT32, [2], ints(2, 2), None), constant(dtype, [], scale)], (dtype, [2, 2], scale))
    yield model(6, [(INT8, [1, 4], None, 0.5)], (FLOAT32, [1, 4], None))
    yield model(114, [(FLOAT32, [1, 4], None, None)], (INT8, [1, 4], 0.5))
    yield model(114, [(UINT8, [1, 4], None, 0.5)], (INT8, [1, 4], 0.5))
