#include "depthwise.h"

int64_t ounce_dwconv_tile_units(const void *params) {
    return ounce_ceil_div(make_depthwise_view(params).pixels, DEPTHWISE_PIXELS);
}

int64_t ounce_dwconv_row_units(const void *params) {
    const ounce_conv_params *p = params;
    return (int64_t)p->batch * p->out_h;
}

// The channel of a packed lane; -1 past the last one.
static int64_t lane_channel(const ounce_conv_params *p, int folded, int64_t lane) {
    return folded ? lane % p->out_c : lane < p->out_c ? lane : -1;
}

size_t ounce_dwconv_f32_size(const void *params, const ounce_conv_weights *weights) {
    (void)weights;
    const ounce_conv_params *p = params;
    return (size_t)ounce_ceil_div(p->out_c, OUNCE_LANES) * depthwise_f32_panel(p);
}

void ounce_dwconv_f32_pack(const void *params, const ounce_conv_weights *weights, void *packed) {
    const ounce_conv_params *p = params;
    const int64_t taps = (int64_t)p->kernel_h * p->kernel_w;
    const float *bias = weights->bias, *w = weights->weights;
    const int folded = make_depthwise_view(p).fold > 1;
    float *to = packed;
    for (int64_t first = 0; first < p->out_c; first += OUNCE_LANES) {
        for (int64_t tap = -1; tap < taps; tap++) {
            for (int64_t n = first; n < first + OUNCE_LANES; n++) {
                const int64_t channel = lane_channel(p, folded, n);
                *to++ = channel < 0 ? 0 : tap >= 0 ? w[channel * taps + tap] : bias ? bias[channel] : 0;
            }
        }
    }
}

// int16 sums of two products need weights above -128.
bool ounce_dwconv_s8_taps_supports(const void *params, const ounce_conv_weights *weights) {
    const ounce_conv_params *p = params;
    const int64_t count = (int64_t)p->out_c * p->kernel_h * p->kernel_w;
    const int8_t *w = weights ? weights->weights : NULL;
    for (int64_t i = 0; w && i < count; i++) {
        if (w[i] == -128) return false;
    }
    return w != NULL;
}

size_t ounce_dwconv_s8_taps_size(const void *params, const ounce_conv_weights *weights) {
    (void)weights;
    const ounce_conv_params *p = params;
    return (size_t)ounce_ceil_div(p->out_c, OUNCE_LANES) * depthwise_s8_panel(p);
}

// The offset of each tap.
size_t ounce_dwconv_s8_taps_scratch(const void *params) {
    const ounce_conv_params *p = params;
    return (size_t)p->kernel_h * (size_t)p->kernel_w * sizeof(int64_t);
}

void ounce_dwconv_s8_taps_pack(const void *params, const ounce_conv_weights *weights, void *packed) {
    const ounce_conv_params *p = params;
    const int64_t taps = (int64_t)p->kernel_h * p->kernel_w;
    const int folded = make_depthwise_view(p).fold > 1;
    char *panel = packed;
    for (int64_t first = 0; first < p->out_c; first += OUNCE_LANES, panel += depthwise_s8_panel(p)) {
        for (int64_t lane = 0; lane < OUNCE_LANES; lane++) {
            const int64_t n = lane_channel(p, folded, first + lane);
            const int inside = n >= 0;
            const int8_t *w = (const int8_t *)weights->weights + (inside ? n * taps : 0);
            int32_t sum = 0;
            for (int64_t tap = 0; tap < taps; tap++) {
                ((int8_t *)panel)[DEPTHWISE_HEADER + tap * OUNCE_LANES + lane] = inside ? w[tap] : 0;
                sum = ounce_wrap_add(sum, w[tap]);
            }
            const int32_t bias = inside && weights->bias ? ((const int32_t *)weights->bias)[n] : 0;
            ((int32_t *)panel)[lane] = inside ? ounce_wrap_add(bias, ounce_wrap_mul(-p->in_zero, sum)) : 0;
            ((float *)panel)[OUNCE_LANES + lane] = inside ? weights->scale[n] : 0;
        }
    }
}
