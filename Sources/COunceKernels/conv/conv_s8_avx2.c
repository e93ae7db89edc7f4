// Int8 convolution without dot products of four: inputs and weights are widened to int16 while they are near (pairs.h), and
// vpmaddwd multiplies pairs exactly (also -128 by -128) into int32.
#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma")
#define ADD_S8_AVX2
#include "../vector.h"
#include "requantise_avx2.h"
#include "pairs.h"

// Packed weights are fetched so many bytes before they are wanted, those of the next panel with the last of this one.
#define AHEAD 4096
#define SINGLE_PANELS 4

typedef struct {
    const int16_t *x[PAIRS_CHUNK];
    int8_t *out[PAIRS_CHUNK];
    int64_t count;
} chunk_pixels;

typedef struct {
    const pairs_walk *walk;
    const chunk_pixels *pixels;
    ounce_range range;
    const char *panel;
    char *wide;                     // its weights in the scratch
    int64_t in_offset, out_offset;  // of its group and first channel
    int64_t channels;               // to store, from out_offset on
} panel_call;

// Where the tiles of a panel find its weights.
typedef enum {
    NARROW,    // as packed: there is one tile
    WIDENING,  // as packed, and leave them widened
    WIDE,      // as the first tile left them
} weights_at;

// The first `lanes` of sixteen.
static __attribute__((noinline)) void store_few(int8_t *out, __m128i q, int64_t lanes) {
    if (lanes > 0) store_some(out, &q, 1, lanes);
}

// `halves`: 2, or 1 where no more than eight of the panel's channels are there.
OUNCE_INLINE void tile(const panel_call *t, int64_t first, const int pixels, const int halves, const weights_at at) {
    const conv_walk w = t->walk->w;
    const int16_t *x[PAIRS_TILE];
    __m256i acc[PAIRS_TILE * 2 + 2];
    OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
        x[m] = t->pixels->x[first + m];
        OUNCE_UNROLL for (int n = 0; n < halves; n++) acc[m * halves + n] = LOAD(__m256i, t->panel + 32 * n);
    }
    const char *packed = t->panel + S8_HEADER;
    char *wide = t->wide;
    for (int64_t row = 0; row < w.rows; row++) {
        for (int64_t column = 0; column < w.columns; column++) {
            int64_t k = t->in_offset + row * w.row_step + column * w.column_step;
            const int64_t end = k + w.length;
            for (; k < end; k += 2) {
                __m256i weights[2];
                OUNCE_UNROLL for (int n = 0; n < halves; n++) {
                    weights[n] = at == WIDE ? LOAD(__m256i, wide + 32 * n)
                                            : _mm256_cvtepi8_epi16(LOAD(__m128i, packed + 16 * n));
                    if (at == WIDENING) memcpy(wide + 32 * n, &weights[n], sizeof weights[n]);
                }
                if (at != WIDE) {
                    _mm_prefetch(packed + AHEAD, _MM_HINT_T0);
                    packed += 32;
                }
                if (at != NARROW) wide += 64;
                __asm__("" : "+r"(k));  // one index for all pixels, not a pointer for each
                OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
                    const __m256i v = _mm256_set1_epi32(LOAD(int32_t, x[m] + k));
                    OUNCE_UNROLL for (int n = m * halves; n < (m + 1) * halves; n++) {
                        acc[n] = _mm256_add_epi32(acc[n], _mm256_madd_epi16(v, weights[n % halves]));
                        // The next pixel's inputs are loaded afterwards: there is no register for them before.
                        __asm__("" : "+r"(k), "+x"(acc[n]));
                    }
                }
            }
        }
    }
    // Nothing of the call is read once bytes are stored, which could be anything's to the compiler.
    const ounce_range range = t->range;
    const __m256 scale[2] = {LOAD(__m256, t->panel + 64), LOAD(__m256, t->panel + 64 + 32 * (halves - 1))};
    const __m256 scales[4] = {scale[0], scale[1], scale[0], scale[1]};
    const int64_t channels = t->channels;
    int8_t *out[PAIRS_TILE];
    __m128i q[PAIRS_TILE + 2];
    OUNCE_UNROLL for (int m = 0; m < pixels; m++) out[m] = t->pixels->out[first + m] + t->out_offset;
    OUNCE_UNROLL for (int n = 0; n < pixels * halves; n += 4) {
        OUNCE_UNROLL for (int i = pixels * halves; i < n + 4; i++) acc[i] = acc[n];
        const __m256i four = requantised(acc + n, scales, range);
        q[n / 2] = _mm256_castsi256_si128(four);
        q[n / 2 + 1] = _mm256_extracti128_si256(four, 1);
    }
    if (halves == 1) {  // two pixels in each
        OUNCE_UNROLL for (int m = pixels - 1; m >= 0; m--) q[m] = m % 2 ? _mm_srli_si128(q[m / 2], 8) : q[m / 2];
    }
    if (OUNCE_LIKELY(channels >= 8 * halves)) {
        OUNCE_UNROLL for (int m = 0; m < pixels; m++) memcpy(out[m], &q[m], (size_t)(8 * halves));
    } else {
        OUNCE_UNROLL for (int m = 0; m < pixels; m++) store_few(out[m], q[m], channels);
    }
}

// One pixel by several panels: memory decides, which is read in as many streams.
OUNCE_INLINE void single(const panel_call *t, const int panels) {
    const conv_walk w = t->walk->w;
    __m256i acc[SINGLE_PANELS][2];
    OUNCE_UNROLL for (int i = 0; i < 2 * panels; i++) {
        acc[i / 2][i % 2] = LOAD(__m256i, t->panel + (size_t)(i / 2) * w.panel_bytes + 32 * (i % 2));
    }
    const char *packed = t->panel + S8_HEADER;
    for (int64_t row = 0; row < w.rows; row++) {
        for (int64_t column = 0; column < w.columns; column++) {
            const int16_t *x = t->pixels->x[0] + t->in_offset + row * w.row_step + column * w.column_step;
            for (int64_t k = 0; k < w.length; k += 2, packed += 32) {
                const __m256i v = _mm256_set1_epi32(LOAD(int32_t, x + k));
                OUNCE_UNROLL for (int i = 0; i < 2 * panels; i++) {
                    const char *from = packed + (size_t)(i / 2) * w.panel_bytes + 16 * (i % 2);
                    const __m256i weights = _mm256_cvtepi8_epi16(LOAD(__m128i, from));
                    acc[i / 2][i % 2] = _mm256_add_epi32(acc[i / 2][i % 2], _mm256_madd_epi16(v, weights));
                }
            }
        }
    }
    const ounce_range range = t->range;
    OUNCE_UNROLL for (int n = 0; n < panels; n += 2) {
        const int other = n + 1 < panels ? n + 1 : n;
        const char *panel = t->panel + (size_t)n * w.panel_bytes, *next = t->panel + (size_t)other * w.panel_bytes;
        const __m256i sums[4] = {acc[n][0], acc[n][1], acc[other][0], acc[other][1]};
        const __m256 scales[4] = {LOAD(__m256, panel + 64), LOAD(__m256, panel + 96), LOAD(__m256, next + 64),
                                  LOAD(__m256, next + 96)};
        __m128i q[2];
        const __m256i both = requantised(sums, scales, range);
        memcpy(q, &both, sizeof both);
        for (int i = n; i <= other; i++) {
            int8_t *out = t->pixels->out[0] + t->out_offset + i * OUNCE_LANES;
            const int64_t lanes = t->channels - i * OUNCE_LANES;
            if (lanes >= OUNCE_LANES) _mm_storeu_si128((__m128i *)out, q[i - n]);
            else store_few(out, q[i - n], lanes);
        }
    }
}

static __attribute__((noinline)) void single_1(const panel_call *t) { single(t, 1); }
static __attribute__((noinline)) void single_4(const panel_call *t) { single(t, SINGLE_PANELS); }

typedef void (*tile_function)(const panel_call *t, int64_t first);
#define TILE(pixels, halves, at)                                                           \
    static void tile_##pixels##_##halves##_##at(const panel_call *t, int64_t first) {      \
        tile(t, first, pixels, halves, at);                                                \
    }
#define TILES(halves)                                                                      \
    TILE(2, halves, NARROW) TILE(3, halves, NARROW) TILE(4, halves, NARROW) TILE(5, halves, NARROW) TILE(6, halves, NARROW) \
    TILE(3, halves, WIDENING) TILE(4, halves, WIDENING) TILE(5, halves, WIDENING) TILE(6, halves, WIDENING) \
    TILE(3, halves, WIDE) TILE(4, halves, WIDE) TILE(5, halves, WIDE) TILE(6, halves, WIDE)
#define TILES_AT(halves, at) tile_3_##halves##_##at, tile_4_##halves##_##at, tile_5_##halves##_##at, tile_6_##halves##_##at
#define TILES_OF(halves)                                                                   \
    {{NULL, tile_2_##halves##_NARROW, TILES_AT(halves, NARROW)},                           \
     {NULL, NULL, TILES_AT(halves, WIDENING)}, {NULL, NULL, TILES_AT(halves, WIDE)}}
TILES(1) TILES(2)
static const tile_function tiles[2][3][PAIRS_TILE] = {TILES_OF(1), TILES_OF(2)};

// All tiles of a panel, of one size but for one pixel.
static void run_panel(const panel_call *t) {
    const int64_t count = ounce_ceil_div(t->pixels->count, PAIRS_TILE), pixels = t->pixels->count / count;
    const int64_t longer = t->pixels->count % count;
    int64_t first = 0;
    for (int64_t i = 0; i < count; i++) {
        const int64_t size = pixels + (i < longer);
        tiles[t->channels > 8][count == 1 ? NARROW : i == 0 ? WIDENING : WIDE][size - 1](t, first);
        first += size;
    }
}

// Whole vectors are read and written.
OUNCE_INLINE void widen(const int8_t *from, int16_t *to, int64_t count) {
    for (int64_t i = 0; i < count; i += 16) {
        _mm256_storeu_si256((__m256i *)(to + i), _mm256_cvtepi8_epi16(LOAD(__m128i, from + i)));
    }
}

static void take_chunk(const ounce_call *call, const pairs_walk *w, int64_t chunk, int16_t *scratch,
                       chunk_pixels *t) {
    const ounce_conv_params *p = call->params;
    const int64_t image = chunk / (w->high * w->wide);
    const int64_t top = chunk / w->wide % w->high * w->chunk_height, left = chunk % w->wide * w->chunk_width;
    const int64_t height = ounce_min64(w->chunk_height, w->height - top);
    const int64_t width = ounce_min64(w->chunk_width, w->width - left);
    const int8_t *in = (const int8_t *)call->in[0] + image * w->in_image + top * w->in_down + left * w->in_right;
    int8_t *out = (int8_t *)call->out + image * w->out_image + top * w->out_down + left * w->out_right;
    const int64_t rows = pairs_rows(p, w, height);
    for (int64_t row = 0; row < rows; row++) {
        const int64_t y = w->shared_rows ? 0 : row / p->kernel_h, ky = w->shared_rows ? 0 : row % p->kernel_h;
        const int8_t *from = in + (w->shared_rows ? row : ky * p->dilation_h) * p->in_row + y * w->in_down;
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

// The first output channel of a panel; past the last one, how many there are.
OUNCE_INLINE int64_t panel_channel(const pairs_walk *w, int64_t panel) {
    return panel / w->w.panels * w->w.group_out + panel % w->w.panels * OUNCE_LANES;
}

void ounce_conv_s8_avx2(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_conv_params *p = call->params;
    const pairs_walk w = make_pairs_walk(p);
    chunk_pixels pixels;
    panel_call t = {.walk = &w, .pixels = &pixels, .range = ounce_make_range(p->out_min, p->out_max, p->out_zero),
                    .wide = call->scratch};
    int16_t *input = (int16_t *)((char *)call->scratch + w.wide_bytes);
    for (int64_t unit = begin, chunk = begin / w.panels; unit < end; chunk++) {
        take_chunk(call, &w, chunk, input, &pixels);
        const int64_t past = ounce_min64(end - chunk * w.panels, w.panels);
        int64_t panel = unit - chunk * w.panels;
        const int64_t first = panel_channel(&w, panel);
        for (int64_t count; panel < past; panel += count) {
            const int64_t group = panel / w.w.panels, in_group = panel % w.w.panels;
            const int64_t left = ounce_min64(past - panel, w.w.panels - in_group);
            t.panel = (const char *)call->packed + (size_t)panel * w.w.panel_bytes;
            t.in_offset = group * w.w.group_in;
            t.out_offset = panel_channel(&w, panel);
            t.channels = w.w.group_out - in_group * OUNCE_LANES;
            count = pixels.count == 1 && left >= SINGLE_PANELS ? SINGLE_PANELS : 1;
            if (pixels.count > 1) run_panel(&t);
            else if (count > 1) single_4(&t);
            else single_1(&t);
            unit += count;
        }
        if (!p->has_residual) continue;
        const int64_t stop = panel_channel(&w, past);
        ADD_RESIDUAL(p, pixels.out, first, residual_offset(call), pixels.count, stop - first)
    }
}
TARGET_END
#endif
