// How conv_s8_avx2 goes through a layer. Output pixels are cut into chunks, `height` rows by `width` columns of an image, and
// output channels into panels of 16; a unit is a chunk by a panel. The input of a chunk is widened to int16 once for all of
// its panels, the weights of a panel once for all tiles of a chunk, so that multiplying has nothing else to wait for.
#ifndef OUNCE_PAIRS_H
#define OUNCE_PAIRS_H

#include "walk.h"

#define PAIRS_TILE 6
#define PAIRS_CHUNK 112  // pixels, at most
#define PAIRS_INPUT ((size_t)256 << 10)  // bytes of a chunk's input, where it can be helped

typedef struct {
    conv_walk w;  // its steps are those of the widened input, `columns` and `length` as packed
    // Output pixels: images, rows and columns of a layer whose windows do not care are run together.
    int64_t images, height, width;
    int64_t in_image, in_down, in_right, out_image, out_down, out_right;
    int64_t chunk_height, chunk_width, high, wide;  // pixels of a chunk, and chunks of an image
    int64_t window, row;                            // elements of a window's row, and of a widened one of a chunk
    int64_t down, right;                            // widened elements between rows of output, and columns
    int64_t panels, chunks;
    int shared_rows;                                // output rows of a chunk read the same input rows
    size_t wide_bytes, input_bytes;                 // of a panel's weights and a chunk's input, widened
} pairs_walk;

// Rows of input that so many output rows read.
OUNCE_INLINE int64_t pairs_rows(const ounce_conv_params *p, const pairs_walk *w, int64_t height) {
    return w->shared_rows ? (height - 1) * p->stride_h + (p->kernel_h - 1) * p->dilation_h + 1 : height * p->kernel_h;
}

// Without kernel rows nothing but the distance from one output pixel to the next matters.
OUNCE_INLINE void pairs_run_together(pairs_walk *w) {
    if (w->height == 1 || (w->in_image == w->height * w->in_down && w->out_image == w->height * w->out_down)) {
        if (w->height == 1) w->in_down = w->in_image, w->out_down = w->out_image;
        w->height *= w->images;
        w->images = 1;
    }
    if (w->width == 1 || (w->in_down == w->width * w->in_right && w->out_down == w->width * w->out_right)) {
        if (w->width == 1) w->in_right = w->in_down, w->out_right = w->out_down;
        w->width *= w->height;
        w->height = 1;
    }
}

OUNCE_INLINE void pairs_cut(const ounce_conv_params *p, pairs_walk *w, int64_t most) {
    w->wide = ounce_max64(1, ounce_ceil_div(w->width, most));
    w->chunk_width = ounce_max64(1, ounce_ceil_div(w->width, w->wide));
    w->high = ounce_max64(1, ounce_ceil_div(w->height, ounce_max64(1, most / w->chunk_width)));
    w->chunk_height = ounce_max64(1, ounce_ceil_div(w->height, w->high));
    w->wide = ounce_ceil_div(w->width, w->chunk_width);
    w->high = ounce_ceil_div(w->height, w->chunk_height);
    w->chunks = w->images * w->high * w->wide;
    const int64_t shared = (w->chunk_height - 1) * p->stride_h + (p->kernel_h - 1) * p->dilation_h + 1;
    w->shared_rows = p->kernel_h > 1 && shared <= w->chunk_height * p->kernel_h;
    w->row = ((w->chunk_width - 1) * w->right + w->window + 31) & ~(int64_t)15;
    w->w.row_step = w->shared_rows ? p->dilation_h * w->row : w->row;
    w->down = (w->shared_rows ? p->stride_h : p->kernel_h) * w->row;
    w->input_bytes = (size_t)(pairs_rows(p, w, w->chunk_height) * w->row) * sizeof(int16_t);
}

OUNCE_INLINE pairs_walk make_pairs_walk(const ounce_conv_params *p) {
    pairs_walk w = {
        .w = make_conv_walk(p, WALK_AVX, S8_HEADER, 2, 1),
        .images = p->batch, .height = p->out_h, .width = p->out_w,
        .in_image = p->in_image, .in_down = p->stride_h * p->in_row, .in_right = p->stride_w * p->in_pixel,
        .out_image = p->out_image, .out_down = p->out_row, .out_right = p->out_pixel,
        .window = (int64_t)(p->kernel_w - 1) * p->dilation_w * p->in_pixel + p->in_c,
    };
    if (p->kernel_h == 1) pairs_run_together(&w);
    w.right = ounce_min64(w.in_right, w.window);  // windows that do not touch are put side by side
    w.panels = w.w.panels * p->groups;
    pairs_cut(p, &w, PAIRS_CHUNK);
    for (int64_t pixels; (pixels = w.chunk_height * w.chunk_width) > 2 * PAIRS_TILE;) {
        const int few = pixels > 4 * PAIRS_TILE && w.chunks * w.panels < 6;
        if (!few && w.input_bytes <= PAIRS_INPUT) break;
        pairs_cut(p, &w, pixels / 2);
    }
    w.wide_bytes = ounce_align64((w.w.panel_bytes - S8_HEADER) * 2);
    return w;
}

#endif
