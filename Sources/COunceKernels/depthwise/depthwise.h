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

OUNCE_INLINE int depthwise_tile(const ounce_conv_params *p, int64_t pixels, int64_t unit, int64_t *in, int64_t *out) {
    return (int)ounce_conv_offsets(p, unit * DEPTHWISE_PIXELS, pixels, DEPTHWISE_PIXELS, in, out);
}

#endif
