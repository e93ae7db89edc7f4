#include "depthwise.h"

int64_t ounce_dwconv_f32_units(const void *params) {
    return ounce_ceil_div(depthwise_pixels(params), DEPTHWISE_PIXELS);
}

size_t ounce_dwconv_f32_size(const void *params) {
    const ounce_conv_params *p = params;
    return (size_t)ounce_ceil_div(p->out_c, OUNCE_LANES) * depthwise_f32_panel(p);
}

void ounce_dwconv_f32_pack(const void *params, const ounce_conv_weights *weights, void *packed) {
    const ounce_conv_params *p = params;
    const int64_t taps = (int64_t)p->kernel_h * p->kernel_w;
    const float *bias = weights->bias, *w = weights->weights;
    float *to = packed;
    for (int64_t first = 0; first < p->out_c; first += OUNCE_LANES) {
        for (int64_t tap = -1; tap < taps; tap++) {
            for (int64_t n = first; n < first + OUNCE_LANES; n++) {
                *to++ = n >= p->out_c ? 0 : tap >= 0 ? w[n * taps + tap] : bias ? bias[n] : 0;
            }
        }
    }
}
