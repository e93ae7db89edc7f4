// Convolutions of inputs that are -1, 0 or 1 with weights that are -1 or 1: an input becomes a sign bit (1: negative) and a
// mask bit (1: not 0), a weight a sign bit. With n set mask bits,
//   sum(x * w) = n - 2 * popcount((signs of x ^ signs of w) & mask).
// What the reduction is filled up with has mask 0. The sums are exact: the same bits as any other int8 kernel.
#ifndef OUNCE_XNOR_BITS_H
#define OUNCE_XNOR_BITS_H

#include "../conv/tile.h"

#define XNOR_FILL 64  // inputs of a pixel are filled up with zeros to a multiple of this
OUNCE_INLINE int64_t xnor_length(const conv_shape *s) { return s->rows * s->columns * s->length; }
OUNCE_INLINE int64_t xnor_padded(const conv_shape *s) {
    return ounce_ceil_div(xnor_length(s), XNOR_FILL) * XNOR_FILL;
}

// The segments of one pixel, end to end, then zeros.
OUNCE_INLINE void xnor_gather(const int8_t *in, const conv_shape *s, int8_t *row) {
    int8_t *to = row;
    for (int64_t y = 0; y < s->rows; y++) {
        for (int64_t x = 0; x < s->columns; x++, to += s->length) {
            memcpy(to, in + y * s->row_step + x * s->column_step, (size_t)s->length);
        }
    }
    memset(to, 0, (size_t)(row + xnor_padded(s) - to));
}

// Bit 0 of each of eight bytes, as a byte: bit i from byte i.
OUNCE_INLINE uint8_t xnor_bits(uint64_t bytes) {
    return (uint8_t)(((bytes & 0x0101010101010101u) * 0x0102040810204080u) >> 56);
}
OUNCE_INLINE uint8_t xnor_signs(const int8_t *x) { return xnor_bits(LOAD(uint64_t, x) >> 7); }
OUNCE_INLINE uint8_t xnor_mask(const int8_t *x) { return xnor_bits(LOAD(uint64_t, x)); }

// Bits of a pixel: how many mask bits are set, then for each element of the type a word of signs and one of the mask.
typedef struct {
    int32_t count;
    int32_t unused;
} xnor_head;

// Packed weights for vectors of output channels: panels as for int8 (tile.h), with `step` bytes for `inputs` inputs.
OUNCE_INLINE size_t xnor_panel_bytes(const conv_shape *s, int64_t inputs, size_t step) {
    return PANEL_HEADER + (size_t)ounce_ceil_div(xnor_length(s), inputs) * step;
}

#endif
