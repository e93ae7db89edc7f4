// The requantisation rule on four vectors at once; for files between TARGET and TARGET_END with AVX-512.
#ifndef OUNCE_REQUANTISE_AVX512_H
#define OUNCE_REQUANTISE_AVX512_H

#include "../vector.h"

OUNCE_INLINE __m512i rounded(__m512i acc, __m512 scale, __m512 hi) {
    return _mm512_cvtps_epi32(_mm512_min_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(acc), scale), hi));
}

// Four times sixteen accumulators to 64 results. What is below the range stays below it through saturation
// (conversion gives the least int32 for what it cannot hold), what is above is cut before.
OUNCE_INLINE __m512i requantised(const __m512i acc[4], const __m512 scale[4], ounce_range r) {
    const __m512 hi = _mm512_set1_ps(r.hi);
    const __m512i zero = _mm512_set1_epi16((int16_t)r.zero);
    const __m512i low = _mm512_packs_epi32(rounded(acc[0], scale[0], hi), rounded(acc[1], scale[1], hi));
    const __m512i high = _mm512_packs_epi32(rounded(acc[2], scale[2], hi), rounded(acc[3], scale[3], hi));
    const __m512i mixed = _mm512_packs_epi16(_mm512_adds_epi16(low, zero), _mm512_adds_epi16(high, zero));
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    return _mm512_max_epi8(_mm512_permutexvar_epi32(order, mixed), _mm512_set1_epi8((int8_t)(r.lo + (float)r.zero)));
}

// Stores a group of four accumulators: `panels` panels of 4 / panels pixels.
OUNCE_INLINE void store_group(int8_t *const *out, int64_t offset, __m512i q, const int panels, int64_t channels) {
    if (panels == 1) {
        const __m128i part[4] = {_mm512_castsi512_si128(q), _mm512_extracti32x4_epi32(q, 1),
                                 _mm512_extracti32x4_epi32(q, 2), _mm512_extracti32x4_epi32(q, 3)};
        if (OUNCE_LIKELY(channels >= 16)) {
            OUNCE_UNROLL for (int i = 0; i < 4; i++) _mm_storeu_si128((__m128i *)(out[i] + offset), part[i]);
        } else {
            const __mmask16 mask = (__mmask16)((1u << channels) - 1);
            OUNCE_UNROLL for (int i = 0; i < 4; i++) _mm_mask_storeu_epi8(out[i] + offset, mask, part[i]);
        }
    } else {
        const __m256i part[2] = {_mm512_castsi512_si256(q), _mm512_extracti32x8_epi32(q, 1)};
        if (OUNCE_LIKELY(channels >= 32)) {
            OUNCE_UNROLL for (int i = 0; i < 2; i++) _mm256_storeu_si256((__m256i *)(out[i] + offset), part[i]);
        } else {
            const __mmask32 mask = (__mmask32)((1u << channels) - 1);
            OUNCE_UNROLL for (int i = 0; i < 2; i++) _mm256_mask_storeu_epi8(out[i] + offset, mask, part[i]);
        }
    }
}

// Stores one pixel's results in up to four panels.
OUNCE_INLINE void store_single(int8_t *out, __m512i q, int64_t channels) {
    const __mmask64 mask = channels >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << channels) - 1;
    _mm512_mask_storeu_epi8(out, mask, q);
}

#endif
