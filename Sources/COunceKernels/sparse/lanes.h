// Sparse convolutions hold output pixels in lanes: the elements that a tile of pixels reads are turned into rows, one for
// each reduction index, with sixteen pixels to a vector. A weight then meets a whole vector of pixels, and one that is
// zero costs nothing. The rows of a tile lie in scratch.
#ifndef OUNCE_SPARSE_LANES_H
#define OUNCE_SPARSE_LANES_H

#include "../conv/tile.h"

// Pixels of a unit: fewer where there are few, so that threads find work.
#define SPARSE_PIXELS 64
OUNCE_INLINE int64_t sparse_unit_pixels(int64_t pixels) {
    return pixels >= 4 * SPARSE_PIXELS ? SPARSE_PIXELS : pixels >= SPARSE_PIXELS ? SPARSE_PIXELS / 2 : OUNCE_LANES;
}

// Int8 weights of one output channel are taken in blocks of four successive reduction indices of a segment (1x4 blocks
// of [out_c][reduction]); float weights one by one. `rows` of them in a segment.
#define SPARSE_BLOCK 4
typedef struct {
    conv_shape conv;
    int64_t rows, all;  // rows of a segment, of all segments
} sparse_shape;
OUNCE_INLINE sparse_shape make_sparse_shape(const ounce_conv_params *p, int64_t block) {
    const conv_shape s = make_conv_shape(p);
    const int64_t rows = ounce_ceil_div(s.length, block);
    return (sparse_shape){s, rows, s.rows * s.columns * rows};
}

// Packed: a head for each channel and one that ends the list, then the non-zero blocks in ascending order.
typedef struct {
    int32_t start;   // int8: start value; float: the bias
    float scale;     // int8
    uint32_t first;  // its first block
    uint32_t unused;
} sparse_head;
typedef struct {
    uint32_t row;
    int32_t weights;  // four int8, or one float
} sparse_block;

#define SHUFFLE16(a, b, i0, i1, i2, i3)                                                                              \
    __builtin_shufflevector(a, b, i0, i1, i2, i3, 4 + i0, 4 + i1, 4 + i2, 4 + i3, 8 + i0, 8 + i1, 8 + i2, 8 + i3, \
                            12 + i0, 12 + i1, 12 + i2, 12 + i3)
typedef int32_t v4i __attribute__((vector_size(16)));

// Four 32-bit elements of each of sixteen rows, turned: out[i] holds element i of every row.
OUNCE_INLINE void turn_4x16(const char *const *row, int64_t at, v16i out[4]) {
    v16i part[4];
    OUNCE_UNROLL for (int i = 0; i < 4; i++) {
        const v4i a = LOAD(v4i, row[i] + at), b = LOAD(v4i, row[4 + i] + at);
        const v4i c = LOAD(v4i, row[8 + i] + at), d = LOAD(v4i, row[12 + i] + at);
        part[i] = __builtin_shufflevector(__builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7),
                                          __builtin_shufflevector(c, d, 0, 1, 2, 3, 4, 5, 6, 7), 0, 1, 2, 3, 4, 5, 6, 7,
                                          8, 9, 10, 11, 12, 13, 14, 15);
    }
    const v16i low = SHUFFLE16(part[0], part[1], 0, 16, 1, 17), high = SHUFFLE16(part[0], part[1], 2, 18, 3, 19);
    const v16i low2 = SHUFFLE16(part[2], part[3], 0, 16, 1, 17), high2 = SHUFFLE16(part[2], part[3], 2, 18, 3, 19);
    out[0] = SHUFFLE16(low, low2, 0, 1, 16, 17);
    out[1] = SHUFFLE16(low, low2, 2, 3, 18, 19);
    out[2] = SHUFFLE16(high, high2, 0, 1, 16, 17);
    out[3] = SHUFFLE16(high, high2, 2, 3, 18, 19);
}

#endif
