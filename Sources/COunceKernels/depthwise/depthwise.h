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

#endif
