// Winograd's convolution with 256-bit vectors. The including file defines OUNCE_BODY_ISA and dot(), which adds products of pairs.
#define ADD_S8_AVX2
#include "../conv/requantise_avx2.h"

#define WINOGRAD_SHORTS 16
#define WINOGRAD_WORDS 8
#define WINOGRAD_AT_ONCE 6
#define WINOGRAD_VARIANTS(V) V(1) V(2) V(3) V(4) V(5) V(6)
typedef ounce_range output_range;
#include "winograd_body.h"

OUNCE_INLINE void products(const int16_t *x, int64_t tile_step, const int16_t *w, int64_t depth, int32_t *sums,
                           const int tiles) {
    __m256i acc[WINOGRAD_AT_ONCE][2];
    OUNCE_UNROLL for (int m = 0; m < tiles; m++) acc[m][0] = acc[m][1] = _mm256_setzero_si256();
    const int16_t *from[WINOGRAD_AT_ONCE];
    OUNCE_UNROLL for (int m = 0; m < tiles; m++) from[m] = x + m * tile_step;
    const int64_t soon = depth * OUNCE_LANES;  // the next point's
    int64_t k = 0;
    __asm__("" : "+r"(k));  // one index for all tiles, not a pointer for each
    for (; k < depth; k += 2, w += 2 * OUNCE_LANES) {
        _mm_prefetch(w + soon, _MM_HINT_T1);
        const __m256i low = _mm256_loadu_si256((const __m256i *)w), high = _mm256_loadu_si256((const __m256i *)w + 1);
        OUNCE_UNROLL for (int m = 0; m < tiles; m++) {
            const __m256i v = _mm256_set1_epi32(LOAD(int32_t, from[m] + k));
            acc[m][0] = dot(acc[m][0], v, low);
            acc[m][1] = dot(acc[m][1], v, high);
            // The next tile's inputs are loaded afterwards: there is no register for them before.
            __asm__("" : "+r"(k), "+x"(acc[m][0]), "+x"(acc[m][1]));
        }
    }
    OUNCE_UNROLL for (int m = 0; m < tiles; m++) {
        _mm256_storeu_si256((__m256i *)(sums + m * OUNCE_LANES), acc[m][0]);
        _mm256_storeu_si256((__m256i *)(sums + m * OUNCE_LANES) + 1, acc[m][1]);
    }
}

OUNCE_INLINE void store_lanes(int8_t *out, __m128i q, int64_t lanes) {
    if (OUNCE_LIKELY(lanes >= OUNCE_LANES)) {
        _mm_storeu_si128((__m128i *)out, q);
    } else {
        store_some(out, &q, 1, lanes);
    }
}

OUNCE_INLINE output_range make_output_range(const ounce_conv_params *p) {
    return ounce_make_range(p->out_min, p->out_max, p->out_zero);
}

OUNCE_INLINE void store_pixels(int8_t *out, int64_t step, const int32_t *sums, const float *scale, output_range range,
                               int64_t pixels, int64_t channels) {
    const __m256 low = _mm256_loadu_ps(scale), high = _mm256_loadu_ps(scale + 8), scales[4] = {low, high, low, high};
    for (int64_t x = 0; x < pixels; x += 2, sums += 2 * OUNCE_LANES) {
        __m256i acc[4];
        OUNCE_UNROLL for (int i = 0; i < 4; i++) acc[i] = _mm256_loadu_si256((const __m256i *)sums + i);
        const __m256i q = requantised(acc, scales, range);
        store_lanes(out + x * step, _mm256_castsi256_si128(q), channels);
        if (x + 1 < pixels) store_lanes(out + (x + 1) * step, _mm256_extracti128_si256(q, 1), channels);
    }
}
