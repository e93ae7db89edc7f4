#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma")
#include "../vector.h"

// Even and odd places apart, widened to int16: vpmaddwd multiplies pairs exactly.
OUNCE_INLINE __m256i dot_half(__m256i acc, __m256i even, __m256i odd, __m256i w) {
    const __m256i evens = _mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8), odds = _mm256_srai_epi16(w, 8);
    return _mm256_add_epi32(acc, _mm256_add_epi32(_mm256_madd_epi16(even, evens), _mm256_madd_epi16(odd, odds)));
}
OUNCE_INLINE v16i dot(v16i acc, const int8_t *x, const char *w) {
    const __m256i v = _mm256_set1_epi32(LOAD(int32_t, x));
    const __m256i even = _mm256_srai_epi16(_mm256_slli_epi16(v, 8), 8), odd = _mm256_srai_epi16(v, 8);
    __m256i half[2];
    memcpy(half, &acc, sizeof acc);
    half[0] = dot_half(half[0], even, odd, LOAD(__m256i, w));
    half[1] = dot_half(half[1], even, odd, LOAD(__m256i, w + 32));
    return LOAD(v16i, half);
}

#define OUNCE_BODY_ISA avx2
#include "conv_s8f32_body.h"
TARGET_END
#endif
