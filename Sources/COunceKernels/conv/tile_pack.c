// Packs convolution weights into panels of 16 output channels (tile.h).
#include "tile.h"

bool ounce_conv_tile_supports(const void *params, const ounce_conv_weights *weights) {
    (void)weights;
    return ((const ounce_conv_params *)params)->groups == 1;
}

int64_t ounce_conv_tile_units(const void *params) {
    const conv_shape s = make_conv_shape(params);
    return ounce_ceil_div(s.pixels, TILE_PIXELS) * s.blocks;
}

size_t ounce_conv_f32_tile_size(const void *params, const ounce_conv_weights *weights) {
    (void)weights;
    const conv_shape s = make_conv_shape(params);
    return (size_t)s.panels * f32_panel_bytes(&s);
}

void ounce_conv_f32_tile_pack(const void *params, const ounce_conv_weights *weights, void *packed) {
    const ounce_conv_params *p = params;
    const conv_shape s = gathered_shape(make_conv_shape(p));
    float *to = packed;
    for (int64_t panel = 0; panel < s.panels; panel++) {
        for (int64_t k = -1; k < s.length; k++) {
            for (int64_t lane = 0; lane < OUNCE_LANES; lane++) {
                const int64_t n = panel * OUNCE_LANES + lane;
                const float *from = k < 0 ? weights->bias : weights->weights;
                const int64_t at = k < 0 ? n : n * s.length + k;
                *to++ = n < p->out_c && from ? from[at] : 0;
            }
        }
    }
}

// `offset` is what the kernel adds to every input element.
static void pack_s8(const ounce_conv_params *p, conv_shape s, const ounce_conv_weights *weights, int64_t group,
                    size_t element, int32_t offset, void *packed) {
    const int64_t segments = s.rows * s.columns, all = segments * s.length;
    char *panel = packed;
    for (int64_t first = 0; first < p->out_c; first += OUNCE_LANES, panel += s8_panel_bytes(&s, group, element)) {
        int32_t *start = (int32_t *)panel;
        float *scale = (float *)(start + OUNCE_LANES);
        char *to = panel + PANEL_HEADER;
        for (int64_t lane = 0; lane < OUNCE_LANES; lane++) {
            const int64_t n = first + lane;
            start[lane] = 0;
            scale[lane] = 0;
            if (n >= p->out_c) continue;
            const int8_t *w = (const int8_t *)weights->weights + n * all;
            int32_t sum = 0;
            for (int64_t k = 0; k < all; k++) sum = ounce_wrap_add(sum, w[k]);
            const int32_t bias = weights->bias ? ((const int32_t *)weights->bias)[n] : 0;
            start[lane] = ounce_wrap_add(bias, ounce_wrap_mul(-(p->in_zero + offset), sum));
            scale[lane] = weights->scale[n];
        }
        for (int64_t segment = 0; segment < segments; segment++) {
            for (int64_t k = 0; k < s.length; k += group) {
                for (int64_t lane = 0; lane < OUNCE_LANES; lane++) {
                    for (int64_t i = k; i < k + group; i++, to += element) {
                        const int64_t n = first + lane;
                        const int inside = n < p->out_c && i < s.length;
                        const int64_t at = inside ? n * all + segment * s.length + i : 0;
                        const int8_t w = inside ? ((const int8_t *)weights->weights)[at] : 0;
                        const int16_t wide = w;
                        memcpy(to, element == 1 ? (const void *)&w : (const void *)&wide, element);
                    }
                }
            }
        }
    }
}

#define S8_PACKING(name, shape, group, element, offset)                                                          \
    size_t ounce_conv_s8_##name##_size(const void *params, const ounce_conv_weights *weights) {                  \
        (void)weights;                                                                                           \
        const conv_shape s = shape(make_conv_shape(params));                                                     \
        return (size_t)s.panels * s8_panel_bytes(&s, group, element);                                            \
    }                                                                                                            \
    void ounce_conv_s8_##name##_pack(const void *params, const ounce_conv_weights *weights, void *packed) {      \
        pack_s8(params, shape(make_conv_shape(params)), weights, group, element, offset, packed);                \
    }
#define AS_IS(s) (s)
S8_PACKING(dot, AS_IS, 4, 1, 0)
S8_PACKING(dot8, AS_IS, 8, 1, 0)
S8_PACKING(single, AS_IS, 1, 1, 0)
