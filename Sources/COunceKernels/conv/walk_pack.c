// Packs the weights of the convolutions of walk.h.
#include "pairs.h"

// Sixteen rows of words of so many bytes to [word][16]; the last word of a row is filled up with zeros.
OUNCE_INLINE void pack_rows(const char *from, size_t row_bytes, int64_t rows, size_t bytes, const size_t word, char *to) {
    const size_t whole = bytes / word * word;
    for (size_t at = 0; at < whole; at += word, to += 16 * word) {
        for (int64_t lane = 0; lane < rows; lane++) {
            memcpy(to + (size_t)lane * word, from + (size_t)lane * row_bytes + at, word);
        }
    }
    for (int64_t lane = 0; lane < rows && whole < bytes; lane++) {
        memcpy(to + (size_t)lane * word, from + (size_t)lane * row_bytes + whole, bytes - whole);
    }
}

// The weights of a panel's `lanes` channels, the first of which is `channel`; `to` is all zeros where they do not fill it.
static void pack_panel(const conv_walk *w, const void *weights, int64_t channel, int64_t lanes, size_t element,
                       size_t word, char *to) {
    const int64_t segments = w->rows * w->columns;
    const size_t row = (size_t)(segments * w->length) * element, segment = (size_t)w->length * element;
    const char *from = (const char *)weights + (size_t)channel * row;
    for (int64_t i = 0; i < segments; i++, from += segment, to += (segment + word - 1) / word * word * OUNCE_LANES) {
        if (word == 2) {
            pack_rows(from, row, lanes, segment, 2, to);
        } else {
            pack_rows(from, row, lanes, segment, 4, to);
        }
    }
}

// The first channel of each panel, and its lanes.
#define FOR_PANELS(w, groups)                                                                                     \
    for (int64_t group = 0; group < (groups); group++)                                                            \
        for (int64_t first = 0, channel, lanes; first < (w)->group_out                                            \
             && (channel = group * (w)->group_out + first, lanes = ounce_min64(OUNCE_LANES, (w)->group_out - first)); \
             first += OUNCE_LANES)

// `offset` is what the kernel adds to every input element; `set` successive weights of a channel stand together.
static void pack_s8(const ounce_conv_params *p, const conv_walk *w, const ounce_conv_weights *weights, int32_t offset,
                    size_t set, void *packed) {
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
        pack_panel(w, weights->weights, channel, lanes, 1, set, panel + S8_HEADER);
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
        pack_panel(w, weights->weights, channel, lanes, sizeof(float), sizeof(float), panel + F32_HEADER);
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
WALKED(s8_dot_wide, s8_dot_walk, WALK_AVX512_S8, pack_s8(params, &w, weights, 128, 4, packed))
WALKED(s8_dot_half, s8_dot_walk, WALK_AVX, pack_s8(params, &w, weights, 128, 4, packed))
WALKED(f32_wide, f32_walk, WALK_AVX512_F32, pack_f32(params, &w, weights, packed))
WALKED(f32_half, f32_walk, WALK_AVX, pack_f32(params, &w, weights, packed))

size_t ounce_conv_s8_pairs_size(const void *params, const ounce_conv_weights *weights) {
    (void)weights;
    const pairs_walk w = make_pairs_walk(params);
    return (size_t)w.panels * w.w.panel_bytes;
}
void ounce_conv_s8_pairs_pack(const void *params, const ounce_conv_weights *weights, void *packed) {
    const pairs_walk w = make_pairs_walk(params);
    pack_s8(params, &w.w, weights, 0, 2, packed);
}
int64_t ounce_conv_s8_pairs_units(const void *params) {
    const pairs_walk w = make_pairs_walk(params);
    return w.chunks * w.panels;
}
size_t ounce_conv_s8_pairs_scratch(const void *params) {
    const pairs_walk w = make_pairs_walk(params);
    return w.wide_bytes + w.input_bytes;
}
