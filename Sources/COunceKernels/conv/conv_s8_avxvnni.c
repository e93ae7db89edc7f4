// Int8 convolution, four products by one instruction, a panel being two vectors. x + 128 is unsigned, as the instruction
// wants its first factor; the start values make up for it (walk_pack.c).
#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma,avxvnni")
#define ADD_S8_AVX2
#include "../vector.h"
#include "requantise_avx2.h"
#include "walk.h"

#define WALK_INPUT int8_t
#define WALK_OUTPUT int8_t
#define WALK_PIXELS 8
#define WALK_VARIANTS(V) V(1, 1) V(2, 1) V(3, 1) V(4, 1) V(5, 1) V(6, 1) V(1, 2) V(1, 3) V(1, 4)
#include "walk_body.h"

// The compiler is not to know that all lanes are the same: it would take a scalar's detour to the exclusive or.
OUNCE_INLINE __m256i signs(void) {
    __m256i v = _mm256_set1_epi8(-128);
    __asm__("" : "+x"(v));
    return v;
}
OUNCE_INLINE __m256i inputs(const int8_t *x, __m256i sign) {
    return _mm256_xor_si256(_mm256_set1_epi32(LOAD(int32_t, x)), sign);
}
OUNCE_INLINE __m256i dot(__m256i a, __m256i x, __m256i w) { return _mm256_dpbusd_avx_epi32(a, x, w); }

OUNCE_INLINE __m256i half(const char *at, int n) { return _mm256_loadu_si256((const __m256i *)(at + 32 * n)); }

OUNCE_INLINE void store_lanes(int8_t *out, __m128i q, int64_t lanes) {
    if (OUNCE_LIKELY(lanes >= OUNCE_LANES)) {
        _mm_storeu_si128((__m128i *)out, q);
    } else {
        store_some(out, &q, 1, lanes);
    }
}

OUNCE_INLINE void tile(const tile_call *t, const int pixels, const int panels) {
    const conv_walk w = *t->walk;
    const __m256i sign = signs();
    __m256i acc[WALK_PIXELS][8];
    OUNCE_UNROLL for (int n = 0; n < 2 * panels; n++) {
        const __m256i start = half(t->panel + (size_t)(n / 2) * w.panel_bytes, n % 2);
        OUNCE_UNROLL for (int m = 0; m < pixels; m++) acc[m][n] = start;
    }
    const char *weights = t->panel + S8_HEADER;
    const ptrdiff_t soon = t->soon - t->panel;
    for (int64_t row = 0; row < w.rows; row++) {
        for (int64_t column = 0; column < w.columns; column++) {
            int64_t k = t->in_offset + row * w.row_step + column * w.column_step;
            const int64_t end = k + w.length;
            __asm__("" : "+r"(k));  // one index for all pixels, not a pointer for each
            for (; k < end; k += 4, weights += 64) {
                _mm_prefetch(weights + soon, _MM_HINT_T1);
                __m256i wide[8];
                OUNCE_UNROLL for (int n = 0; n < 2 * panels; n++) {
                    wide[n] = half(weights + (size_t)(n / 2) * w.panel_bytes, n % 2);
                }
                OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
                    const __m256i v = inputs(t->x[m] + k, sign);
                    OUNCE_UNROLL for (int n = 0; n < 2 * panels; n++) acc[m][n] = dot(acc[m][n], v, wide[n]);
                    // The next pixel's inputs are loaded afterwards: there is no register for them before.
                    if (panels == 1) __asm__("" : "+r"(k), "+x"(acc[m][0]), "+x"(acc[m][1]));
                }
            }
        }
    }
    // By two panels of a pixel, or two pixels of a panel.
    const ounce_range range = ounce_make_range(t->p->out_min, t->p->out_max, t->p->out_zero);
    const int64_t channels = t->channels, offset = t->out_offset;
    OUNCE_UNROLL for (int i = 0; i < pixels * panels; i += 2) {
        const int j = i + 1 < pixels * panels ? i + 1 : i, m[2] = {i / panels, j / panels}, n[2] = {i % panels, j % panels};
        __m256i sum[4];
        __m256 scale[4];
        OUNCE_UNROLL for (int q = 0; q < 4; q++) {
            const char *panel = t->panel + (size_t)n[q / 2] * w.panel_bytes;
            sum[q] = acc[m[q / 2]][2 * n[q / 2] + q % 2];
            scale[q] = _mm256_loadu_ps((const float *)(panel + 64) + q % 2 * 8);
        }
        const __m256i q = requantised(sum, scale, range);
        store_lanes(t->out[m[0]] + offset + n[0] * OUNCE_LANES, _mm256_castsi256_si128(q), channels - n[0] * OUNCE_LANES);
        store_lanes(t->out[m[1]] + offset + n[1] * OUNCE_LANES, _mm256_extracti128_si256(q, 1),
                    channels - n[1] * OUNCE_LANES);
    }
}

void ounce_conv_s8_avxvnni(const ounce_call *call, int64_t begin, int64_t end) {
    const conv_walk w = s8_dot_walk(call->params, WALK_AVX);
    walk_units(call, &w, begin, end);
}
TARGET_END
#endif
