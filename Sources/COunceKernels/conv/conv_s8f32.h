// What the int8 convolutions with float results share.
#ifndef OUNCE_CONV_S8F32_H
#define OUNCE_CONV_S8F32_H

#include "../kernels.h"
#include "../vector.h"
#include "pixels.h"

#define CONV_S8F32_TILE 4

typedef struct {
    int64_t rows, columns, length;  // runs of contiguous inputs of a pixel
    int64_t row_step, column_step;  // elements between them
    int64_t pixels, panels, blocks;
    size_t panel_bytes;
} conv_s8f32_shape;

// Packed: for each panel 16 start values and 16 scales, then for each run groups of four successive inputs (the last one
// filled up with zeros): [16 channels][4].
#define CONV_S8F32_HEADER ((size_t)OUNCE_LANES * 8)

OUNCE_INLINE conv_s8f32_shape make_conv_s8f32_shape(const ounce_conv_params *p) {
    const int whole_rows = p->dilation_w == 1 && p->in_pixel == p->in_c;
    conv_s8f32_shape s = {
        .rows = p->kernel_h,
        .columns = whole_rows ? 1 : p->kernel_w,
        .length = whole_rows ? (int64_t)p->kernel_w * p->in_c : p->in_c,
        .row_step = p->dilation_h * p->in_row,
        .column_step = p->dilation_w * p->in_pixel,
        .pixels = ounce_conv_pixel_count(p),
        .panels = ounce_ceil_div(p->out_c, OUNCE_LANES),
    };
    s.blocks = ounce_ceil_div(s.panels, CONV_S8F32_TILE);
    s.panel_bytes = CONV_S8F32_HEADER + (size_t)(s.rows * s.columns * ounce_ceil_div(s.length, 4)) * 64;
    return s;
}

#endif
