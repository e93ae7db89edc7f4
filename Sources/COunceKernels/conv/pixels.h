// Output pixels of a convolution, numbered through images and rows.
#ifndef OUNCE_PIXELS_H
#define OUNCE_PIXELS_H

#include "../common.h"

OUNCE_INLINE int64_t ounce_conv_pixel_count(const ounce_conv_params *p) {
    return (int64_t)p->batch * p->out_h * p->out_w;
}

// The offsets of the first input element and of the output of `size` pixels from `first` on; places past the last pixel
// repeat it. Returns how many pixels there are.
OUNCE_INLINE int64_t ounce_conv_offsets(const ounce_conv_params *p, int64_t first, int64_t pixels, int64_t size,
                                        int64_t *in, int64_t *out) {
    const int64_t count = ounce_min64(size, pixels - first);
    int64_t x = first % p->out_w, row = first / p->out_w, y = row % p->out_h, image = row / p->out_h;
    for (int64_t m = 0; m < size; m++) {
        if (m >= count) {
            in[m] = in[m - 1];
            out[m] = out[m - 1];
            continue;
        }
        in[m] = image * p->in_image + y * p->stride_h * p->in_row + x * p->stride_w * p->in_pixel;
        out[m] = image * p->out_image + y * p->out_row + x * p->out_pixel;
        if (++x == p->out_w) {
            x = 0;
            if (++y == p->out_h) y = 0, image++;
        }
    }
    return count;
}

#endif
