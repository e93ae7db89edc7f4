// Finds the factors of small weights and packs them.
#include "narrow.h"

// The inputs of a block, zeros past the segment's end, and the factor that they are multiples of (0: all are zero).
static int read_block(const int8_t *w, const conv_shape *s, int64_t block, int8_t values[NARROW_BLOCK]) {
    const int64_t per_segment = ounce_ceil_div(s->length, NARROW_BLOCK);
    const int64_t segment = block / per_segment, from = block % per_segment * NARROW_BLOCK;
    int factor = 0;
    for (int64_t i = 0; i < NARROW_BLOCK; i++) {
        values[i] = from + i < s->length ? w[segment * s->length + from + i] : 0;
        int a = factor, b = values[i] < 0 ? -values[i] : values[i];
        while (b != 0) {
            const int rest = a % b;
            a = b, b = rest;
        }
        factor = a;
    }
    return factor;
}

static bool narrow_supports(const ounce_conv_params *p, const ounce_conv_weights *weights, int bits) {
    if (p->groups != 1 || !weights || !weights->weights) return false;
    const conv_shape s = make_conv_shape(p);
    const int64_t all = s.rows * s.columns * s.length;
    const int low = -(1 << (bits - 1)), high = -low - 1;
    for (int64_t n = 0; n < p->out_c; n++) {
        for (int64_t block = 0; block < narrow_blocks(&s); block++) {
            int8_t values[NARROW_BLOCK];
            const int factor = read_block((const int8_t *)weights->weights + n * all, &s, block, values);
            if (factor > 127) return false;
            for (int i = 0; i < NARROW_BLOCK && factor; i++) {
                if (values[i] / factor < low || values[i] / factor > high) return false;
            }
        }
    }
    return true;
}

// `offset` is what the kernel adds to every input element, `bias` what it takes from every field.
static void narrow_pack(const ounce_conv_params *p, const ounce_conv_weights *weights, int bits, int offset, int bias,
                        void *packed) {
    const conv_shape s = make_conv_shape(p);
    const int64_t all = s.rows * s.columns * s.length, blocks = narrow_blocks(&s);
    const int vectors = NARROW_GROUPS * bits / 8;
    char *panel = packed;
    for (int64_t first = 0; first < p->out_c; first += OUNCE_LANES, panel += narrow_panel_bytes(&s, bits)) {
        memset(panel, 0, narrow_panel_bytes(&s, bits));
        for (int64_t lane = 0; lane < OUNCE_LANES; lane++) {
            const int64_t n = first + lane;
            const int inside = n < p->out_c;
            const int8_t *w = (const int8_t *)weights->weights + (inside ? n * all : 0);
            int32_t sum = 0;
            for (int64_t k = 0; k < all; k++) sum = ounce_wrap_add(sum, w[k]);
            const int32_t add = inside && weights->bias ? ((const int32_t *)weights->bias)[n] : 0;
            ((int32_t *)panel)[lane] =
                inside ? ounce_wrap_add(add, ounce_wrap_mul(-(p->in_zero + offset), sum)) : 0;
            ((float *)panel)[OUNCE_LANES + lane] = inside ? weights->scale[n] : 0;
            for (int64_t block = 0; block < blocks; block++) {
                int8_t values[NARROW_BLOCK] = {0};
                const int factor = inside ? read_block(w, &s, block, values) : 0;
                (panel + PANEL_HEADER)[block * OUNCE_LANES + lane] = (char)factor;
                uint8_t *to = (uint8_t *)panel + PANEL_HEADER + narrow_factors_bytes(&s) + block * vectors * 64;
                for (int i = 0; i < NARROW_BLOCK; i++) {
                    const int group = i / 4, vector = group % vectors, field = group / vectors;
                    const int small = (factor ? values[i] / factor : 0) + bias;
                    to[vector * 64 + lane * 4 + i % 4] |=
                        (uint8_t)((small & ((1 << bits) - 1)) << field * bits);
                }
            }
        }
    }
}

#define NARROW(name, bits)                                                                                         \
    bool ounce_conv_s8_##name##_supports(const void *params, const ounce_conv_weights *weights) {                  \
        return narrow_supports(params, weights, bits);                                                             \
    }                                                                                                              \
    size_t ounce_conv_s8_##name##_size(const void *params, const ounce_conv_weights *weights) {                    \
        (void)weights;                                                                                             \
        const conv_shape s = make_conv_shape(params);                                                              \
        return (size_t)s.panels * narrow_panel_bytes(&s, bits);                                                    \
    }                                                                                                              \
    void ounce_conv_s8_##name##_pack(const void *params, const ounce_conv_weights *weights, void *packed) {        \
        narrow_pack(params, weights, bits, 0, 0, packed);                                                          \
    }                                                                                                              \
    void ounce_conv_s8_##name##_unsigned_pack(const void *params, const ounce_conv_weights *weights, void *packed) { \
        narrow_pack(params, weights, bits, 128, 0, packed);                                                        \
    }                                                                                                              \
    void ounce_conv_s8_##name##_biased_pack(const void *params, const ounce_conv_weights *weights, void *packed) { \
        narrow_pack(params, weights, bits, 128, 1 << (bits - 1), packed);                                          \
    }
NARROW(w4, 4)
NARROW(w2, 2)
