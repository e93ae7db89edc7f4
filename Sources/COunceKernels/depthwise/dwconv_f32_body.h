// Float depthwise convolution, sixteen channels of DEPTHWISE_PIXELS output pixels at a time; compiled once for each
// instruction set. Packed: for each 16 channels 16 biases, then [tap][16]. A unit is a tile of pixels.
#include "depthwise.h"

OUNCE_INLINE void pixels_by_channels(const ounce_conv_params *p, const float *const *in, float *const *out, int count,
                                     int64_t channel, const char *panel) {
    v16f acc[DEPTHWISE_PIXELS];
    const v16f bias = LOAD(v16f, panel);
    OUNCE_UNROLL for (int m = 0; m < DEPTHWISE_PIXELS; m++) acc[m] = bias;
    for (int64_t ky = 0; ky < p->kernel_h; ky++) {
        for (int64_t kx = 0; kx < p->kernel_w; kx++) {
            panel += sizeof(v16f);
            const v16f w = LOAD(v16f, panel);
            const int64_t offset = ky * p->dilation_h * p->in_row + kx * p->dilation_w * p->in_pixel + channel;
            OUNCE_UNROLL for (int m = 0; m < DEPTHWISE_PIXELS; m++) {
                acc[m] = __builtin_elementwise_fma(LOAD(v16f, in[m] + offset), w, acc[m]);
            }
        }
    }
    OUNCE_UNROLL for (int m = 0; m < DEPTHWISE_PIXELS; m++) {
        if (m < count) store_clamped(out[m] + channel, acc[m], p->min, p->max, p->out_c - channel);
    }
}

void OUNCE_NAME(dwconv_f32)(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_conv_params *p = call->params;
    const size_t panel_bytes = depthwise_f32_panel(p);
    const int64_t pixels = depthwise_pixels(p);
    for (int64_t unit = begin; unit < end; unit++) {
        const float *in[DEPTHWISE_PIXELS];
        float *out[DEPTHWISE_PIXELS];
        const int64_t first = unit * DEPTHWISE_PIXELS;
        const int count = (int)ounce_min64(DEPTHWISE_PIXELS, pixels - first);
        for (int m = 0; m < DEPTHWISE_PIXELS; m++) {
            const int64_t pixel = ounce_min64(first + m, pixels - 1);
            const int64_t x = pixel % p->out_w, row = pixel / p->out_w, y = row % p->out_h, image = row / p->out_h;
            in[m] = (const float *)call->in[0] + image * p->in_image + y * p->stride_h * p->in_row +
                    x * p->stride_w * p->in_pixel;
            out[m] = (float *)call->out + image * p->out_image + y * p->out_row + x * p->out_pixel;
        }
        const char *panel = call->packed;
        for (int64_t channel = 0; channel < p->out_c; channel += OUNCE_LANES, panel += panel_bytes) {
            pixels_by_channels(p, in, out, count, channel, panel);
        }
    }
}
