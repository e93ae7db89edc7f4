// Packs weights with output channels side by side (channels.h).
#include "channels.h"

static int64_t reduction(const ounce_conv_params *p) {
    return (int64_t)p->kernel_h * p->kernel_w * (p->in_c / p->groups);
}

size_t ounce_conv_f32_channels_size(const void *params, const ounce_conv_weights *weights) {
    (void)weights;
    const ounce_conv_params *p = params;
    return (size_t)(p->out_c * (1 + reduction(p))) * sizeof(float);
}

void ounce_conv_f32_channels_pack(const void *params, const ounce_conv_weights *weights, void *packed) {
    const ounce_conv_params *p = params;
    const int64_t length = reduction(p);
    const float *bias = weights->bias, *from = weights->weights;
    float *to = packed;
    for (int64_t n = 0; n < p->out_c; n++) {
        to[n] = bias ? bias[n] : 0;
        for (int64_t k = 0; k < length; k++) to[(1 + k) * p->out_c + n] = from[n * length + k];
    }
}

size_t ounce_conv_s8_channels_size(const void *params, const ounce_conv_weights *weights) {
    (void)weights;
    const ounce_conv_params *p = params;
    return (size_t)(p->out_c * (8 + reduction(p)));
}

void ounce_conv_s8_channels_pack(const void *params, const ounce_conv_weights *weights, void *packed) {
    const ounce_conv_params *p = params;
    const int64_t length = reduction(p);
    const int32_t *bias = weights->bias;
    const int8_t *from = weights->weights;
    int32_t *start = packed;
    float *scale = (float *)(start + p->out_c);
    int8_t *to = (int8_t *)(scale + p->out_c);
    for (int64_t n = 0; n < p->out_c; n++) {
        int32_t sum = 0;
        for (int64_t k = 0; k < length; k++) {
            sum = ounce_wrap_add(sum, from[n * length + k]);
            to[k * p->out_c + n] = from[n * length + k];
        }
        start[n] = ounce_wrap_add(bias ? bias[n] : 0, ounce_wrap_mul(-p->in_zero, sum));
        scale[n] = weights->scale[n];
    }
}

// Four pixels share what is loaded of the weights.
int64_t ounce_conv_fours(const void *params) { return ounce_ceil_div(ounce_conv_pixel_count(params), 4); }
