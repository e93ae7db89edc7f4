// How the AMX convolution cuts a step: tiles of 32 output pixels by blocks of 32 output channels, the reduction in pieces
// of 64. A tile register takes sixteen rows that lie equally far apart, so pixels are numbered along lines on which
// they do:
//   AMX_FLAT    a whole image, where the end of a row and the start of the next are whole steps apart: the places in
//               between are computed and not stored;
//   AMX_ROWS    an output row;
//   AMX_GATHER  all pixels; their inputs are first copied behind one another.
// The last tile of a line, where it is not full, is gathered too. Rounding a reduction up to 64 is harmless: the weights
// there are zero, and what is read in vain lies within OUNCE_SLACK.
#ifndef OUNCE_AMX_SHAPE_H
#define OUNCE_AMX_SHAPE_H

#include "tile.h"

#define AMX_PIXELS 32
#define AMX_CHANNELS 32
#define AMX_DEPTH 64
#define AMX_BLOCK_HEADER (AMX_CHANNELS * 8)  // 32 start values, 32 scales

typedef enum { AMX_FLAT, AMX_ROWS, AMX_GATHER } amx_walk;

typedef struct {
    amx_walk walk;
    int64_t rows, columns, length, row_step, column_step;  // segments, as in conv_shape
    int64_t pieces, depth;                                 // of a packed segment: ceil(length / 64), 64 * pieces
    int64_t packed_segments;  // 1 where the segments are gathered without gaps
    int64_t images, height, width;                         // of the output
    int64_t in_image, in_row, in_pixel, out_image, out_row, out_pixel;  // steps of an output pixel
    int64_t line_places, line_width;                       // places of a line, and from a row's start to the next
    int64_t lines, line_tiles, tiles, blocks;
    int64_t channels_first;  // units go through all tiles of a block of channels first
    size_t block_bytes;
} amx_shape;

OUNCE_INLINE int64_t amx_ceil64(int64_t n) { return (n + AMX_DEPTH - 1) / AMX_DEPTH * AMX_DEPTH; }

// Whether `a` of `all_a` places are used better than 3/4 as well as `b` of `all_b`.
OUNCE_INLINE int amx_dense(int64_t a, int64_t all_a, int64_t b, int64_t all_b) {
    return (double)a / (double)all_a >= 0.75 * (double)b / (double)all_b;
}

OUNCE_INLINE amx_shape make_amx_shape(const ounce_conv_params *p) {
    const conv_shape c = make_conv_shape(p);
    amx_shape s = {
        .rows = c.rows, .columns = c.columns, .length = c.length, .row_step = c.row_step, .column_step = c.column_step,
        .images = p->batch, .height = p->out_h, .width = p->out_w,
        .in_image = p->in_image, .in_row = p->stride_h * p->in_row, .in_pixel = p->stride_w * p->in_pixel,
        .out_image = p->out_image, .out_row = p->out_row, .out_pixel = p->out_pixel,
        .blocks = ounce_ceil_div(p->out_c, AMX_CHANNELS),
    };
    if (s.height == 1 && s.width == 1) {  // fully connected: the batch is a row
        s.width = s.images;
        s.images = 1;
        s.in_pixel = s.in_image;
        s.out_pixel = s.out_image;
    }
    const int64_t segments = s.rows * s.columns, all = segments * s.length;
    const int64_t pixels = s.images * s.height * s.width, gathered = ounce_ceil_div(pixels, AMX_PIXELS) * AMX_PIXELS;
    const int64_t row_tiles = ounce_ceil_div(s.width, AMX_PIXELS);
    s.packed_segments = segments;
    s.walk = AMX_GATHER;
    if (segments * amx_ceil64(s.length) * 3 > amx_ceil64(all) * 4) {
        s.packed_segments = 1;
    } else if (s.in_pixel > 0 && s.in_row % s.in_pixel == 0 && s.in_row >= s.width * s.in_pixel) {
        s.line_width = s.in_row / s.in_pixel;
        s.line_places = (s.height - 1) * s.line_width + s.width;
        const int64_t flat = s.images * ounce_ceil_div(s.line_places, AMX_PIXELS) * AMX_PIXELS;
        if (amx_dense(pixels, flat, pixels, gathered)) s.walk = AMX_FLAT;
    }
    if (s.walk == AMX_GATHER && s.packed_segments == segments &&
        amx_dense(s.width, row_tiles * AMX_PIXELS, pixels, gathered)) {
        s.walk = AMX_ROWS;
    }
    if (s.walk != AMX_FLAT) s.line_places = s.line_width = s.walk == AMX_ROWS ? s.width : pixels;
    s.lines = s.walk == AMX_GATHER ? 1 : s.walk == AMX_ROWS ? s.images * s.height : s.images;
    s.line_tiles = ounce_ceil_div(s.line_places, AMX_PIXELS);
    s.tiles = s.lines * s.line_tiles;
    s.pieces = amx_ceil64(s.packed_segments == 1 ? all : s.length) / AMX_DEPTH;
    s.depth = s.pieces * AMX_DEPTH;
    s.block_bytes = AMX_BLOCK_HEADER + (size_t)(s.packed_segments * s.depth) * AMX_CHANNELS;
    s.channels_first = s.walk != AMX_GATHER && (size_t)s.blocks * s.block_bytes > 512 * 1024;
    return s;
}

#endif
