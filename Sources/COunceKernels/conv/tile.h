// What the vector convolutions share. Output pixels are numbered through images and rows; a unit of work is a tile of
// TILE_PIXELS pixels and TILE_PANELS panels of 16 output channels. A pixel reads `segments` runs of `length` contiguous
// elements: whole kernel rows where pixels touch each other, else single kernel places.
#ifndef OUNCE_TILE_H
#define OUNCE_TILE_H

#include "../kernels.h"
#include "pixels.h"
#include "residual.h"

#define TILE_PIXELS 12
#define TILE_PANELS 4

typedef struct {
    int64_t rows, columns, length;     // segments: rows x columns of them
    int64_t row_step, column_step;     // elements between segments
    int64_t pixels, panels, blocks;
} conv_shape;

OUNCE_INLINE conv_shape make_conv_shape(const ounce_conv_params *p) {
    const int whole_rows = p->dilation_w == 1 && p->in_pixel == p->in_c;
    const int64_t panels = ounce_ceil_div(p->out_c, OUNCE_LANES);
    return (conv_shape){
        .rows = p->kernel_h,
        .columns = whole_rows ? 1 : p->kernel_w,
        .length = whole_rows ? (int64_t)p->kernel_w * p->in_c : p->in_c,
        .row_step = p->dilation_h * p->in_row,
        .column_step = p->dilation_w * p->in_pixel,
        .pixels = ounce_conv_pixel_count(p),
        .panels = panels,
        .blocks = ounce_ceil_div(panels, TILE_PANELS),
    };
}

typedef struct {
    int64_t in[TILE_PIXELS], out[TILE_PIXELS];
    int64_t count;
} tile_pixels;

OUNCE_INLINE void make_tile_pixels(const ounce_conv_params *p, const conv_shape *s, int64_t tile, tile_pixels *t) {
    t->count = ounce_conv_offsets(p, tile * TILE_PIXELS, s->pixels, TILE_PIXELS, t->in, t->out);
}

// Packed int8 weights: each panel holds 16 start values, 16 scales, then for each segment groups of `group` successive
// reduction indices (the last one filled up with zeros): [group][16 channels][index in group], int8 or int16.
#define PANEL_HEADER (OUNCE_LANES * 8)
OUNCE_INLINE size_t s8_panel_bytes(const conv_shape *s, int64_t group, size_t element) {
    const int64_t padded = ounce_ceil_div(s->length, group) * group;
    return PANEL_HEADER + (size_t)(s->rows * s->columns * padded * OUNCE_LANES) * element;
}
// Float: 16 biases, then [reduction index][16 channels].
OUNCE_INLINE size_t f32_panel_bytes(const conv_shape *s) {
    return (size_t)(OUNCE_LANES * (1 + s->rows * s->columns * s->length)) * sizeof(float);
}
// The reduction as one segment, for kernels that gather their input first.
OUNCE_INLINE conv_shape gathered_shape(conv_shape s) {
    s.length *= s.rows * s.columns;
    s.rows = s.columns = 1;
    return s;
}

#endif
