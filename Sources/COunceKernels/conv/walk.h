// What the convolutions of x86 share. Output pixels are numbered through images and rows and cut into tiles; each group's
// output channels are cut into panels of 16, and those into blocks. A unit of work is a tile of pixels by a block of panels.
// A pixel reads `rows` x `columns` segments of `length` contiguous elements: whole kernel rows where pixels touch each
// other, else single kernel places.
#ifndef OUNCE_WALK_H
#define OUNCE_WALK_H

#include "../kernels.h"
#include "residual.h"

// The tiles that an instruction set's registers hold: pixels by one panel, and by a block of `block` panels. A block for a
// single pixel (fully connected layers, batch 1) has `single` panels.
typedef struct {
    int64_t narrow, wide, block, single;
} walk_registers;
#define WALK_AVX512_S8 ((walk_registers){.narrow = 24, .wide = 14, .block = 2, .single = 8})
#define WALK_AVX512_F32 ((walk_registers){.narrow = 16, .wide = 14, .block = 2, .single = 4})
#define WALK_AVX ((walk_registers){.narrow = 6, .wide = 6, .block = 1, .single = 4})

typedef struct {
    int64_t rows, columns, length;  // segments
    int64_t row_step, column_step;  // elements between them
    int64_t pixels, tiles;          // output pixels and their tiles
    int64_t tile, longer;           // pixels of a tile; one more in the first `longer` tiles
    int64_t panels, block, blocks;  // panels of a group, those of a block, and a group's blocks
    int64_t group_in, group_out;    // channels of a group
    int64_t units;
    size_t panel_bytes;
    int by_blocks;  // successive units take successive tiles by one block; else successive blocks by one tile
} conv_walk;

// What is larger, weights or input, is read once from beginning to end; the other again and again.
//
// Packed: for each panel `header` bytes, then for each segment sets of `set` successive reduction indices (the last one
// filled up with zeros): [set][16 channels][index in set], each of `element` bytes.
OUNCE_INLINE conv_walk make_conv_walk(const ounce_conv_params *p, walk_registers r, size_t header, int64_t set,
                                      size_t element) {
    conv_walk w = {.group_in = p->in_c / p->groups, .group_out = p->out_c / p->groups};
    const int whole_rows = p->dilation_w == 1 && p->in_pixel == w.group_in;
    w.rows = p->kernel_h;
    w.columns = whole_rows ? 1 : p->kernel_w;
    w.length = whole_rows ? (int64_t)p->kernel_w * p->in_c : w.group_in;
    w.row_step = p->dilation_h * p->in_row;
    w.column_step = p->dilation_w * p->in_pixel;
    w.pixels = (int64_t)p->batch * p->out_h * p->out_w;
    w.panels = ounce_ceil_div(w.group_out, OUNCE_LANES);
    const int64_t padded = ounce_ceil_div(w.length, set) * set * w.rows * w.columns * OUNCE_LANES;
    w.panel_bytes = header + (size_t)padded * element;
    w.block = w.pixels == 1 ? r.single : w.panels == 1 ? 1 : r.block;
    const int64_t most = w.pixels == 1 ? 1 : w.block == 1 ? r.narrow : r.wide;
    w.tiles = ounce_ceil_div(w.pixels, most);
    w.tile = w.tiles ? w.pixels / w.tiles : 0;
    w.longer = w.tiles ? w.pixels % w.tiles : 0;
    w.blocks = ounce_ceil_div(w.panels, w.block);
    w.units = w.tiles * w.blocks * p->groups;
    const int64_t input = p->batch * p->in_image * (int64_t)element;
    w.by_blocks = (int64_t)w.panel_bytes * w.panels * p->groups > input;
    return w;
}

// The first pixel of a tile.
OUNCE_INLINE int64_t walk_pixel(const conv_walk *w, int64_t tile) { return tile * w->tile + ounce_min64(tile, w->longer); }

// Int8: 16 start values and 16 scales, then sets of four; float: 16 biases, then single indices.
#define S8_HEADER ((size_t)128)
#define F32_HEADER ((size_t)64)
OUNCE_INLINE conv_walk s8_dot_walk(const ounce_conv_params *p, walk_registers r) {
    return make_conv_walk(p, r, S8_HEADER, 4, 1);
}
OUNCE_INLINE conv_walk f32_walk(const ounce_conv_params *p, walk_registers r) {
    return make_conv_walk(p, r, F32_HEADER, 1, sizeof(float));
}

#endif
