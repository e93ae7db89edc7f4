#include "interleave.h"

// Pixels must touch each other, in and out.
bool ounce_dwconv_s8_supports(const void *params, const ounce_conv_weights *weights) {
    (void)weights;
    const ounce_conv_params *p = params;
    return p->in_pixel == p->in_c && p->out_pixel == p->out_c;
}

static int64_t units(const ounce_conv_params *p, int64_t group, int64_t lanes) {
    const interleaving s = make_interleaving(p, group, lanes);
    return p->batch * ounce_ceil_div(p->out_h, s.rows) * s.stretches;
}

static size_t packed_size(const ounce_conv_params *p, int64_t group, int64_t lanes) {
    const interleaving s = make_interleaving(p, group, lanes);
    return (size_t)s.blocks * s.block_bytes;
}

static size_t scratch_size(const ounce_conv_params *p, int64_t group, int64_t lanes) {
    const interleaving s = make_interleaving(p, group, lanes);
    return (size_t)(s.planes * s.plane_places) * 4;
}

// Each block: `lanes` start values, as many scales, then [plane][shift][lane][group], for the second of two rows once
// more. `offset` is what the kernel adds to every
// input.
static void pack(const ounce_conv_params *p, const ounce_conv_weights *weights, int64_t group, int64_t lanes,
    int32_t offset, void *packed) {
    const interleaving s = make_interleaving(p, group, lanes);
    const int64_t taps = (int64_t)p->kernel_h * p->kernel_w;
    for (int64_t place = 0; place < s.period; place++) {
        char *block = (char *)packed + (size_t)(place / lanes) * s.block_bytes;
        const int64_t lane = place % lanes, channel = s.flat ? place % p->in_c : place;
        const int inside = channel < p->in_c;
        const int8_t *w = (const int8_t *)weights->weights + (inside ? channel * taps : 0);
        int32_t sum = 0;
        for (int64_t tap = 0; tap < taps; tap++) sum = ounce_wrap_add(sum, w[tap]);
        const int32_t bias = inside && weights->bias ? ((const int32_t *)weights->bias)[channel] : 0;
        ((int32_t *)block)[lane] = inside ? ounce_wrap_add(bias, ounce_wrap_mul(-(p->in_zero + offset), sum)) : 0;
        ((float *)block)[lanes + lane] = inside ? weights->scale[channel] : 0;
        char *to = block + lanes * 8 + lane * 4;
        const int later = s.rows == 2 && lanes == OUNCE_LANES;
        for (int64_t term = 0; term < s.terms * (1 + later); term++, to += lanes * 4) {
            const int64_t own = term % s.terms, first = own / s.shifts * group - term / s.terms;
            for (int64_t i = 0; i < group; i++) {
                const int64_t tap = first + i;
                const int used = inside && tap >= 0 && tap < s.tap_count;
                const int8_t value = used ? w[tap * s.shifts + own % s.shifts] : 0;
                const int16_t wide = value;
                memcpy(to + i * (4 / group), group == 4 ? (const void *)&value : (const void *)&wide,
                    (size_t)(4 / group));
            }
        }
    }
}

#define INTERLEAVED_PACKING(name, group, lanes, offset)                                                           \
    size_t ounce_dwconv_s8_##name##_size(const void *params, const ounce_conv_weights *weights) {                 \
        (void)weights;                                                                                            \
        return packed_size(params, group, lanes);                                                                 \
    }                                                                                                             \
    void ounce_dwconv_s8_##name##_pack(const void *params, const ounce_conv_weights *weights, void *packed) {     \
        pack(params, weights, group, lanes, offset, packed);                                                      \
    }
#define INTERLEAVED(name, group, lanes, offset)                                                                   \
    INTERLEAVED_PACKING(name, group, lanes, offset)                                                               \
    int64_t ounce_dwconv_s8_##name##_units(const void *params) { return units(params, group, lanes); }            \
    size_t ounce_dwconv_s8_##name##_scratch(const void *params) { return scratch_size(params, group, lanes); }
INTERLEAVED(dot_unsigned, 4, 16, 128)
INTERLEAVED_PACKING(dot, 4, 16, 0)
INTERLEAVED(pairs, 2, 16, 0)
INTERLEAVED(dot_wide, 4, 64, 128)
