// Int8 convolution without dot products of four: inputs and weights are widened to int16 while they are near (pairs.h), and
// vpmaddwd multiplies pairs exactly (also -128 by -128) into int32.
#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma")
#define ADD_S8_AVX2
#include "../vector.h"
#include "requantise_avx2.h"
#include "pairs.h"

typedef struct {
    const int16_t *x[PAIRS_CHUNK];
    int8_t *out[PAIRS_CHUNK];
    int64_t count;                  // pixels of the chunk
    const conv_walk *walk;
    ounce_range range;
    // Of the panel:
    const char *panel;
    char *wide;                     // its weights in the scratch
    int64_t in_offset, out_offset;  // of its group and first channel
    int64_t channels;               // to store, from out_offset on
} chunk_call;

// Where the tiles of a panel find its weights.
typedef enum {
    NARROW,    // as packed: there is one tile
    WIDENING,  // as packed, and leave them widened
    WIDE,      // as the first tile left them
} weights_at;

OUNCE_INLINE void store_lanes(int8_t *out, __m128i q, int64_t lanes) {
    if (OUNCE_LIKELY(lanes >= OUNCE_LANES)) {
        _mm_storeu_si128((__m128i *)out, q);
    } else {
        store_some(out, &q, 1, lanes);
    }
}

OUNCE_INLINE void tile(const chunk_call *t, int64_t first, const int pixels, const weights_at at) {
    const conv_walk w = *t->walk;
    const int16_t *x[PAIRS_TILE];
    __m256i acc[PAIRS_TILE][2];
    OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
        x[m] = t->x[first + m];
        OUNCE_UNROLL for (int n = 0; n < 2; n++) acc[m][n] = LOAD(__m256i, t->panel + 32 * n);
    }
    const char *packed = t->panel + S8_HEADER;
    char *wide = t->wide;
    for (int64_t row = 0; row < w.rows; row++) {
        for (int64_t column = 0; column < w.columns; column++) {
            int64_t k = t->in_offset + row * w.row_step + column * w.column_step;
            const int64_t end = k + w.length;
            for (; k < end; k += 2) {
                __m256i weights[2];
                OUNCE_UNROLL for (int n = 0; n < 2; n++) {
                    weights[n] = at == WIDE ? LOAD(__m256i, wide + 32 * n)
                                            : _mm256_cvtepi8_epi16(LOAD(__m128i, packed + 16 * n));
                    if (at == WIDENING) memcpy(wide + 32 * n, &weights[n], sizeof weights[n]);
                }
                if (at != WIDE) packed += 32;
                if (at != NARROW) wide += 64;
                __asm__("" : "+r"(k));  // one index for all pixels, not a pointer for each
                OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
                    const __m256i v = _mm256_set1_epi32(LOAD(int32_t, x[m] + k));
                    OUNCE_UNROLL for (int n = 0; n < 2; n++) {
                        acc[m][n] = _mm256_add_epi32(acc[m][n], _mm256_madd_epi16(v, weights[n]));
                    }
                    // The next pixel's inputs are loaded afterwards: there is no register for them before.
                    __asm__("" : "+r"(k), "+x"(acc[m][0]), "+x"(acc[m][1]));
                }
            }
        }
    }
    const __m256 scale[2] = {LOAD(__m256, t->panel + 64), LOAD(__m256, t->panel + 96)};
    const __m256 scales[4] = {scale[0], scale[1], scale[0], scale[1]};
    OUNCE_UNROLL for (int m = 0; m < pixels; m += 2) {
        const int other = m + 1 < pixels ? m + 1 : m;
        const __m256i sums[4] = {acc[m][0], acc[m][1], acc[other][0], acc[other][1]};
        const __m256i q = requantised(sums, scales, t->range);
        store_lanes(t->out[first + m] + t->out_offset, _mm256_castsi256_si128(q), t->channels);
        if (other > m) store_lanes(t->out[first + other] + t->out_offset, _mm256_extracti128_si256(q, 1), t->channels);
    }
}

typedef void (*tile_function)(const chunk_call *t, int64_t first);
#define TILE(pixels, at) \
    static void tile_##pixels##_##at(const chunk_call *t, int64_t first) { tile(t, first, pixels, at); }
TILE(1, NARROW) TILE(2, NARROW) TILE(3, NARROW) TILE(4, NARROW) TILE(5, NARROW) TILE(6, NARROW)
TILE(3, WIDENING) TILE(4, WIDENING) TILE(5, WIDENING) TILE(6, WIDENING) TILE(3, WIDE) TILE(4, WIDE) TILE(5, WIDE) TILE(6, WIDE)
static const tile_function tiles[3][PAIRS_TILE] = {
    {tile_1_NARROW, tile_2_NARROW, tile_3_NARROW, tile_4_NARROW, tile_5_NARROW, tile_6_NARROW},
    {NULL, NULL, tile_3_WIDENING, tile_4_WIDENING, tile_5_WIDENING, tile_6_WIDENING},
    {NULL, NULL, tile_3_WIDE, tile_4_WIDE, tile_5_WIDE, tile_6_WIDE},
};

// All tiles of a panel; of one size but for one pixel.
static void run_panel(const chunk_call *t) {
    const int64_t count = ounce_ceil_div(t->count, PAIRS_TILE), pixels = t->count / count, longer = t->count % count;
    int64_t first = 0;
    for (int64_t i = 0; i < count; i++) {
        const int64_t size = pixels + (i < longer);
        tiles[count == 1 ? NARROW : i == 0 ? WIDENING : WIDE][size - 1](t, first);
        first += size;
    }
}

// Whole vectors are read and written.
OUNCE_INLINE void widen(const int8_t *from, int16_t *to, int64_t count) {
    for (int64_t i = 0; i < count; i += 16) {
        _mm256_storeu_si256((__m256i *)(to + i), _mm256_cvtepi8_epi16(LOAD(__m128i, from + i)));
    }
}

static void take_chunk(const ounce_call *call, const pairs_walk *w, int64_t chunk, int16_t *scratch, chunk_call *t) {
    const ounce_conv_params *p = call->params;
    const int64_t image = chunk / (w->high * w->wide);
    const int64_t top = chunk / w->wide % w->high * w->chunk_height, left = chunk % w->wide * w->chunk_width;
    const int64_t height = ounce_min64(w->chunk_height, w->height - top);
    const int64_t width = ounce_min64(w->chunk_width, w->width - left);
    const int8_t *in = (const int8_t *)call->in[0] + image * w->in_image + top * w->in_down + left * w->in_right;
    int8_t *out = (int8_t *)call->out + image * w->out_image + top * w->out_down + left * w->out_right;
    const int64_t rows = pairs_rows(p, w, height);
    for (int64_t row = 0; row < rows; row++) {
        const int8_t *from = w->shared_rows ? in + row * p->in_row
                                            : in + row / p->kernel_h * w->in_down + row % p->kernel_h * p->dilation_h * p->in_row;
        int16_t *to = scratch + row * w->row;
        if (w->right == w->in_right) {
            widen(from, to, (width - 1) * w->right + w->window);
        } else {
            for (int64_t i = 0; i < width; i++) widen(from + i * w->in_right, to + i * w->right, w->window);
        }
    }
    t->count = height * width;
    for (int64_t y = 0, m = 0; y < height; y++) {
        for (int64_t i = 0; i < width; i++, m++) {
            t->x[m] = scratch + y * w->down + i * w->right;
            t->out[m] = out + y * w->out_down + i * w->out_right;
        }
    }
}

void ounce_conv_s8_avx2(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_conv_params *p = call->params;
    const pairs_walk w = make_pairs_walk(p);
    chunk_call t = {.walk = &w.w, .wide = call->scratch, .range = ounce_make_range(p->out_min, p->out_max, p->out_zero)};
    int16_t *widened = (int16_t *)((char *)call->scratch + w.weight_bytes);
    for (int64_t unit = begin, last; unit < end; unit = last) {
        const int64_t chunk = unit / w.panels;
        last = ounce_min64(end, (chunk + 1) * w.panels);
        take_chunk(call, &w, chunk, widened, &t);
        const int64_t start = unit % w.panels / w.w.panels * w.w.group_out + unit % w.panels % w.w.panels * OUNCE_LANES;
        for (int64_t panel = unit % w.panels; panel < last - chunk * w.panels; panel++) {
            const int64_t group = panel / w.w.panels, channel = panel % w.w.panels * OUNCE_LANES;
            t.panel = (const char *)call->packed + (size_t)panel * w.w.panel_bytes;
            t.in_offset = group * w.w.group_in;
            t.out_offset = group * w.w.group_out + channel;
            t.channels = ounce_min64(OUNCE_LANES, w.w.group_out - channel);
            run_panel(&t);
        }
        if (!p->has_residual) continue;
        ADD_RESIDUAL(p, t.out, start, residual_offset(call), t.count, t.out_offset + t.channels - start)
    }
}
TARGET_END
#endif
