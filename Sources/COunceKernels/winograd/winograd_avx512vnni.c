// Winograd's convolution with vpdpwssd on 512 bits: a panel is one vector.
#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
#define ADD_S8_AVX512
#include "../conv/requantise_avx512.h"

#define OUNCE_BODY_ISA avx512vnni
#define WINOGRAD_SHORTS 16
#define WINOGRAD_WORDS 16
#define WINOGRAD_AT_ONCE 12
#define WINOGRAD_VARIANTS(V) V(1) V(2) V(3) V(4) V(5) V(6) V(7) V(8) V(9) V(10) V(11) V(12)
typedef ounce_range output_range;
#include "winograd_body.h"

// Where there are few tiles, each has several sums: adding takes a while.
OUNCE_INLINE void products(const int16_t *x, int64_t tile_step, const int16_t *w, int64_t depth, int32_t *sums,
                           const int tiles) {
    const int ways = tiles <= 3 ? 4 : tiles <= 6 ? 2 : 1;
    __m512i acc[WINOGRAD_AT_ONCE][4];
    const int16_t *from[WINOGRAD_AT_ONCE];
    OUNCE_UNROLL for (int m = 0; m < tiles; m++) {
        from[m] = x + m * tile_step;
        OUNCE_UNROLL for (int i = 0; i < ways; i++) acc[m][i] = _mm512_setzero_si512();
    }
    const int64_t soon = depth * OUNCE_LANES;  // the next point's
    int64_t k = 0;
    __asm__("" : "+r"(k));  // one index for all tiles, not a pointer for each
    for (; k < depth; k += 2 * ways, w += 2 * ways * OUNCE_LANES) {
        OUNCE_UNROLL for (int i = 0; i < ways; i++) {
            _mm_prefetch(w + 2 * i * OUNCE_LANES + soon, _MM_HINT_T1);
            const __m512i weights = _mm512_loadu_si512(w + 2 * i * OUNCE_LANES);
            OUNCE_UNROLL for (int m = 0; m < tiles; m++) {
                const __m512i v = _mm512_set1_epi32(LOAD(int32_t, from[m] + k + 2 * i));
                acc[m][i] = _mm512_dpwssd_epi32(acc[m][i], weights, v);
            }
        }
    }
    OUNCE_UNROLL for (int m = 0; m < tiles; m++) {
        OUNCE_UNROLL for (int step = ways / 2; step > 0; step /= 2) {
            OUNCE_UNROLL for (int i = 0; i < step; i++) acc[m][i] = _mm512_add_epi32(acc[m][i], acc[m][i + step]);
        }
        _mm512_storeu_si512(sums + m * OUNCE_LANES, acc[m][0]);
    }
}

OUNCE_INLINE output_range make_output_range(const ounce_conv_params *p) {
    return ounce_make_range(p->out_min, p->out_max, p->out_zero);
}

OUNCE_INLINE void store_pixels(int8_t *out, int64_t step, const int32_t *sums, const float *scale, output_range range,
                               int64_t pixels, int64_t channels) {
    const __m512 all = _mm512_loadu_ps(scale), scales[4] = {all, all, all, all};
    __m512i acc[4];
    OUNCE_UNROLL for (int i = 0; i < 4; i++) acc[i] = _mm512_loadu_si512(sums + i * OUNCE_LANES);
    int8_t *to[4];
    OUNCE_UNROLL for (int64_t i = 0; i < 4; i++) to[i] = out + ounce_min64(pixels - 1, i) * step;
    const __m512i q = requantised(acc, scales, range);
    if (OUNCE_LIKELY(pixels == 4)) {
        store_group(to, 0, q, 1, channels);
        return;
    }
    const __mmask16 mask = channels >= 16 ? 0xFFFF : (__mmask16)((1u << channels) - 1);
    _mm_mask_storeu_epi8(to[0], mask, _mm512_castsi512_si128(q));
    if (pixels > 1) _mm_mask_storeu_epi8(to[1], mask, _mm512_extracti32x4_epi32(q, 1));
    if (pixels > 2) _mm_mask_storeu_epi8(to[2], mask, _mm512_extracti32x4_epi32(q, 2));
}
TARGET_END
#endif
