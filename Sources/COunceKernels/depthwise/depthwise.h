// What the vector depthwise convolutions share.
#ifndef OUNCE_DEPTHWISE_H
#define OUNCE_DEPTHWISE_H

#include "../kernels.h"
#include "../vector.h"

#define DEPTHWISE_PIXELS 4

OUNCE_INLINE int64_t depthwise_pixels(const ounce_conv_params *p) { return (int64_t)p->batch * p->out_h * p->out_w; }
OUNCE_INLINE size_t depthwise_f32_panel(const ounce_conv_params *p) {
    return sizeof(v16f) * (1 + (size_t)p->kernel_h * (size_t)p->kernel_w);
}
// Int8: 16 start values, 16 scales, then [tap][16].
#define DEPTHWISE_HEADER (OUNCE_LANES * 8)
OUNCE_INLINE size_t depthwise_s8_panel(const ounce_conv_params *p) {
    return DEPTHWISE_HEADER + sizeof(v16b) * (size_t)p->kernel_h * (size_t)p->kernel_w;
}

// The offsets of a tile's pixels (the last one repeats) and how many there are.
OUNCE_INLINE int depthwise_tile(const ounce_conv_params *p, int64_t pixels, int64_t unit, int64_t *in, int64_t *out) {
    const int64_t first = unit * DEPTHWISE_PIXELS;
    for (int m = 0; m < DEPTHWISE_PIXELS; m++) {
        const int64_t pixel = ounce_min64(first + m, pixels - 1);
        const int64_t x = pixel % p->out_w, row = pixel / p->out_w, y = row % p->out_h, image = row / p->out_h;
        in[m] = image * p->in_image + y * p->stride_h * p->in_row + x * p->stride_w * p->in_pixel;
        out[m] = image * p->out_image + y * p->out_row + x * p->out_pixel;
    }
    return (int)ounce_min64(DEPTHWISE_PIXELS, pixels - first);
}

#endif
