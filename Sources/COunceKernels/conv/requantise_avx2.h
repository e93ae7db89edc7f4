// The requantisation rule on four vectors at once; for files between TARGET and TARGET_END with AVX2.
#ifndef OUNCE_REQUANTISE_AVX2_H
#define OUNCE_REQUANTISE_AVX2_H

#include "../common.h"

OUNCE_INLINE __m256i rounded(__m256i acc, __m256 scale, __m256 hi) {
    return _mm256_cvtps_epi32(_mm256_min_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(acc), scale), hi));
}

// Four times eight accumulators to 32 results. What is below the range stays below it through saturation (conversion gives
// the least int32 for what it cannot hold), what is above is cut before.
OUNCE_INLINE __m256i requantised(const __m256i acc[4], const __m256 scale[4], ounce_range r) {
    const __m256 hi = _mm256_set1_ps(r.hi);
    const __m256i zero = _mm256_set1_epi16((int16_t)r.zero);
    const __m256i low = _mm256_packs_epi32(rounded(acc[0], scale[0], hi), rounded(acc[1], scale[1], hi));
    const __m256i high = _mm256_packs_epi32(rounded(acc[2], scale[2], hi), rounded(acc[3], scale[3], hi));
    const __m256i mixed = _mm256_packs_epi16(_mm256_adds_epi16(low, zero), _mm256_adds_epi16(high, zero));
    const __m256i ordered = _mm256_permutevar8x32_epi32(mixed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    return _mm256_max_epi8(ordered, _mm256_set1_epi8((int8_t)(r.lo + (float)r.zero)));
}

#endif
