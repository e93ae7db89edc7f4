#include "conv_s8f32.h"

bool ounce_conv_s8f32_supports(const void *params, const ounce_conv_weights *weights) {
    (void)weights;
    return ((const ounce_conv_params *)params)->groups == 1;
}

int64_t ounce_conv_s8f32_units(const void *params) {
    const conv_s8f32_shape s = make_conv_s8f32_shape(params);
    return ounce_ceil_div(s.pixels, CONV_S8F32_TILE) * s.blocks;
}

size_t ounce_conv_s8f32_size(const void *params, const ounce_conv_weights *weights) {
    (void)weights;
    const conv_s8f32_shape s = make_conv_s8f32_shape(params);
    return (size_t)s.panels * s.panel_bytes;
}

// `offset` is what the kernel adds to every input: sum((x - zero) * w) = sum((x + offset) * w) - (zero + offset) * sum(w).
static void pack(const ounce_conv_params *p, const ounce_conv_weights *weights, int32_t offset, char *packed) {
    const conv_s8f32_shape s = make_conv_s8f32_shape(p);
    const int64_t runs = s.rows * s.columns, all = runs * s.length;
    memset(packed, 0, (size_t)s.panels * s.panel_bytes);
    for (int64_t n = 0; n < p->out_c; n++) {
        const int8_t *w = (const int8_t *)weights->weights + n * all;
        char *panel = packed + (size_t)(n / OUNCE_LANES) * s.panel_bytes;
        const int64_t lane = n % OUNCE_LANES;
        char *to = panel + CONV_S8F32_HEADER + lane * 4;
        int32_t sum = 0;
        for (int64_t run = 0; run < runs; run++) {
            for (int64_t k = 0; k < s.length; k += 4, to += 64) {
                const int64_t count = ounce_min64(4, s.length - k);
                memcpy(to, w + run * s.length + k, (size_t)count);
                for (int64_t i = 0; i < count; i++) sum += w[run * s.length + k + i];
            }
        }
        const int32_t bias = weights->bias ? ((const int32_t *)weights->bias)[n] : 0;
        ((int32_t *)panel)[lane] = ounce_wrap_add(bias, ounce_wrap_mul(-(p->in_zero + offset), sum));
        ((float *)panel)[OUNCE_LANES + lane] = weights->scale[n];
    }
}

void ounce_conv_s8f32_pack(const void *params, const ounce_conv_weights *weights, void *packed) {
    pack(params, weights, 0, packed);
}
void ounce_conv_s8f32_unsigned_pack(const void *params, const ounce_conv_weights *weights, void *packed) {
    pack(params, weights, 128, packed);
}
