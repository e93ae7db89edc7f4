// Packs the weights of the convolutions of walk.h.
#include "walk.h"

// Sixteen rows of words of four bytes to [word][16]; the last word of a row is filled up with zeros.
static void pack_words(const char *from, size_t row_bytes, int64_t rows, size_t bytes, char *to) {
    const size_t whole = bytes / 4 * 4;
    for (size_t at = 0; at < whole; at += 4, to += 64) {
        for (int64_t lane = 0; lane < rows; lane++) memcpy(to + 4 * lane, from + (size_t)lane * row_bytes + at, 4);
    }
    for (int64_t lane = 0; lane < rows && whole < bytes; lane++) {
        memcpy(to + 4 * lane, from + (size_t)lane * row_bytes + whole, bytes - whole);
    }
}

// The same for pairs of int8 that become int16.
static void pack_pairs(const char *from, size_t row_bytes, int64_t rows, size_t bytes, char *to) {
    for (size_t at = 0; at < bytes; at += 2, to += 64) {
        for (int64_t lane = 0; lane < rows; lane++) {
            const int8_t *pair = (const int8_t *)from + (size_t)lane * row_bytes + at;
            const int16_t wide[2] = {pair[0], at + 1 < bytes ? pair[1] : 0};
            memcpy(to + 4 * lane, wide, 4);
        }
    }
}

// The weights of a panel's `lanes` channels, the first of which is `channel`; `to` is all zeros where they do not fill it.
static void pack_panel(const conv_walk *w, const void *weights, int64_t channel, int64_t lanes, size_t element,
                       int pairs, char *to) {
    const int64_t segments = w->rows * w->columns;
    const size_t row = (size_t)(segments * w->length) * element, segment = (size_t)w->length * element;
    const char *from = (const char *)weights + (size_t)channel * row;
    const size_t word = pairs ? 2 : 4;
    for (int64_t i = 0; i < segments; i++, from += segment, to += (segment + word - 1) / word * 64) {
        if (pairs) {
            pack_pairs(from, row, lanes, segment, to);
        } else {
            pack_words(from, row, lanes, segment, to);
        }
    }
}

// The first channel of each panel, and its lanes.
#define FOR_PANELS(w, groups)                                                                                     \
    for (int64_t group = 0; group < (groups); group++)                                                            \
        for (int64_t first = 0, channel, lanes; first < (w)->group_out                                            \
             && (channel = group * (w)->group_out + first, lanes = ounce_min64(OUNCE_LANES, (w)->group_out - first)); \
             first += OUNCE_LANES)

// `offset` is what the kernel adds to every input element.
static void pack_s8(const ounce_conv_params *p, const conv_walk *w, const ounce_conv_weights *weights, int32_t offset,
                    int pairs, void *packed) {
    const int64_t all = w->rows * w->columns * w->length;
    char *panel = packed;
    FOR_PANELS(w, p->groups) {
        if (lanes < OUNCE_LANES || w->length % 4) memset(panel, 0, w->panel_bytes);
        int32_t *start = (int32_t *)panel;
        float *scale = (float *)(start + OUNCE_LANES);
        for (int64_t lane = 0; lane < lanes; lane++) {
            const int8_t *row = (const int8_t *)weights->weights + (channel + lane) * all;
            int32_t sum = 0;
            for (int64_t k = 0; k < all; k++) sum = ounce_wrap_add(sum, row[k]);
            const int32_t bias = weights->bias ? ((const int32_t *)weights->bias)[channel + lane] : 0;
            start[lane] = ounce_wrap_add(bias, ounce_wrap_mul(-(p->in_zero + offset), sum));
            scale[lane] = weights->scale[channel + lane];
        }
        pack_panel(w, weights->weights, channel, lanes, 1, pairs, panel + S8_HEADER);
        panel += w->panel_bytes;
    }
}

static void pack_f32(const ounce_conv_params *p, const conv_walk *w, const ounce_conv_weights *weights, void *packed) {
    char *panel = packed;
    FOR_PANELS(w, p->groups) {
        if (lanes < OUNCE_LANES) memset(panel, 0, w->panel_bytes);
        float *bias = (float *)panel;
        for (int64_t lane = 0; lane < lanes; lane++) {
            bias[lane] = weights->bias ? ((const float *)weights->bias)[channel + lane] : 0;
        }
        pack_panel(w, weights->weights, channel, lanes, sizeof(float), 0, panel + F32_HEADER);
        panel += w->panel_bytes;
    }
}

#define WALKED(name, walk, registers, pack)                                                                       \
    int64_t ounce_conv_##name##_units(const void *params) { return walk(params, registers).units; }               \
    size_t ounce_conv_##name##_size(const void *params, const ounce_conv_weights *weights) {                      \
        (void)weights;                                                                                            \
        const conv_walk w = walk(params, registers);                                                              \
        return (size_t)(w.panels * ((const ounce_conv_params *)params)->groups) * w.panel_bytes;                  \
    }                                                                                                             \
    void ounce_conv_##name##_pack(const void *params, const ounce_conv_weights *weights, void *packed) {          \
        const conv_walk w = walk(params, registers);                                                              \
        pack;                                                                                                     \
    }
WALKED(s8_dot_wide, s8_dot_walk, WALK_AVX512_S8, pack_s8(params, &w, weights, 128, 0, packed))
WALKED(s8_dot_half, s8_dot_walk, WALK_AVX, pack_s8(params, &w, weights, 128, 0, packed))
WALKED(s8_pairs, s8_pairs_walk, WALK_AVX, pack_s8(params, &w, weights, 0, 1, packed))
WALKED(f32_wide, f32_walk, WALK_AVX512_F32, pack_f32(params, &w, weights, packed))
WALKED(f32_half, f32_walk, WALK_AVX, pack_f32(params, &w, weights, packed))

size_t ounce_conv_s8_pairs_scratch(const void *params) {
    return (size_t)(WALK_AVX.narrow * s8_pairs_row(params)) * sizeof(int16_t);
}
