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
// The signs and the mask of eight inputs.
OUNCE_INLINE uint8_t xnor_signs(const int8_t *x) { return xnor_bits(LOAD(uint64_t, x) >> 7); }
OUNCE_INLINE uint8_t xnor_mask(const int8_t *x) { return xnor_bits(LOAD(uint64_t, x)); }

// The vector kernels make the bits of each input pixel once, in an image in scratch that is laid out like an input with
// `elements` elements for each pixel and no gaps. What a tile needs is made when the walk comes to it.
typedef struct {
    // Of a convolution over that image. Two members mean something else there: `in_zero` is the number of inputs of an
    // output pixel, `in_ternary` whether some input made so far is 0.
    ounce_conv_params p;
    int64_t width, height;
} xnor_image;
OUNCE_INLINE xnor_image make_xnor_image(const ounce_conv_params *p, int64_t elements) {
    xnor_image image = {.p = *p};
    image.width = (int64_t)(p->out_w - 1) * p->stride_w + (int64_t)(p->kernel_w - 1) * p->dilation_w + 1;
    image.height = (int64_t)(p->out_h - 1) * p->stride_h + (int64_t)(p->kernel_h - 1) * p->dilation_h + 1;
    image.p.in_zero = p->kernel_h * p->kernel_w * p->in_c;
    image.p.in_ternary = 0;
    image.p.in_c = (int32_t)elements;
    image.p.in_pixel = elements;
    image.p.in_row = elements * image.width;
    image.p.in_image = image.p.in_row * image.height;
    return image;
}
OUNCE_INLINE int64_t xnor_image_elements(const xnor_image *image) { return image->p.in_image * image->p.batch; }

// Eight inputs to a byte: bytes of signs, then as many bytes of the mask; and room to read whole words.
OUNCE_INLINE int64_t xnor_bit_elements(const ounce_conv_params *p) { return ounce_ceil_div(p->in_c, 8); }
OUNCE_INLINE int64_t xnor_plane(const ounce_conv_params *image) {
    return (image->in_image * image->batch + 15) & ~(int64_t)7;
}
OUNCE_INLINE int64_t xnor_plane_bytes(const xnor_image *image) { return xnor_plane(&image->p); }
// Offsets into the table, one for four inputs.
OUNCE_INLINE int64_t xnor_table_elements(const ounce_conv_params *p) { return 4 * ounce_ceil_div(p->in_c, 16); }

// Packed weights for vectors of output channels: panels as for int8 (tile.h), with `step` bytes for each `elements`
// elements of a segment of the image.
OUNCE_INLINE size_t xnor_panel_bytes(const conv_shape *s, int64_t elements, size_t step) {
    return PANEL_HEADER + (size_t)(s->rows * s->columns * ounce_ceil_div(s->length, elements)) * step;
}

// Bytes of the table of the table kernel, before its panels.
#define XNOR_TABLE_BYTES 4096

typedef uint8_t v16ub __attribute__((vector_size(16)));
typedef uint16_t v16us __attribute__((vector_size(32)));

#endif
