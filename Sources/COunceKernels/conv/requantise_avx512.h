// The requantisation rule on four vectors at once; for files between TARGET and TARGET_END with AVX-512.
#ifndef OUNCE_REQUANTISE_AVX512_H
#define OUNCE_REQUANTISE_AVX512_H

#include "../common.h"

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

#endif
