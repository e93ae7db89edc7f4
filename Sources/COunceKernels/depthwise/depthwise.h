// What the vector depthwise convolutions share.
#ifndef OUNCE_DEPTHWISE_H
#define OUNCE_DEPTHWISE_H

#include "../conv/pixels.h"
#include "../kernels.h"
#include "../vector.h"

#define DEPTHWISE_PIXELS 4

OUNCE_INLINE size_t depthwise_f32_panel(const ounce_conv_params *p) {
    return sizeof(v16f) * (1 + (size_t)p->kernel_h * (size_t)p->kernel_w);
}
// Int8: 16 start values, 16 scales, then [tap][16].
#define DEPTHWISE_HEADER (OUNCE_LANES * 8)
OUNCE_INLINE size_t depthwise_s8_panel(const ounce_conv_params *p) {
    return DEPTHWISE_HEADER + sizeof(v16b) * (size_t)p->kernel_h * (size_t)p->kernel_w;
}

// Few channels are folded: where they divide 16 and pixels touch each other, 16 / channels neighbours of a row make one
// pixel of 16 channels.
typedef struct {
    ounce_conv_params p;   // after folding
    int64_t fold, pixels;  // pixels after folding
    int64_t row_step, column_step;  // elements between taps
    int64_t row_places;    // out_w * out_c
} depthwise_view;

OUNCE_INLINE depthwise_view make_depthwise_view(const ounce_conv_params *p) {
    depthwise_view v = {.p = *p, .fold = 1, .row_places = (int64_t)p->out_w * p->out_c};
    v.row_step = p->dilation_h * p->in_row;
    v.column_step = p->dilation_w * p->in_pixel;
    if (p->stride_w == 1 && p->in_pixel == p->in_c && p->out_pixel == p->out_c && OUNCE_LANES % p->in_c == 0) {
        v.fold = OUNCE_LANES / p->in_c;
        v.p.in_c = v.p.out_c = OUNCE_LANES;
        v.p.in_pixel = v.p.out_pixel = OUNCE_LANES;
        v.p.out_w = (int32_t)ounce_ceil_div(p->out_w, v.fold);
    }
    v.pixels = ounce_conv_pixel_count(&v.p);
    return v;
}

// Lanes to store of a pixel's channels from `channel` on: fewer than there are at the end of a folded row.
OUNCE_INLINE int64_t depthwise_lanes(const depthwise_view *v, int64_t pixel, int64_t channel) {
    return v->fold == 1 ? v->p.out_c - channel : v->row_places - pixel % v->p.out_w * OUNCE_LANES;
}

OUNCE_INLINE int depthwise_tile(const depthwise_view *v, int64_t unit, int64_t *in, int64_t *out) {
    return (int)ounce_conv_offsets(&v->p, unit * DEPTHWISE_PIXELS, v->pixels, DEPTHWISE_PIXELS, in, out);
}

#endif
