#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma,avxvnni")
#include "../vector.h"

// x + 128 is unsigned, as the instruction wants its first factor.
OUNCE_INLINE v16i dot(v16i acc, const int8_t *x, const char *w) {
    const __m256i v = _mm256_xor_si256(_mm256_set1_epi32(LOAD(int32_t, x)), _mm256_set1_epi32((int32_t)0x80808080));
    __m256i half[2];
    memcpy(half, &acc, sizeof acc);
    half[0] = _mm256_dpbusd_avx_epi32(half[0], v, LOAD(__m256i, w));
    half[1] = _mm256_dpbusd_avx_epi32(half[1], v, LOAD(__m256i, w + 32));
    return LOAD(v16i, half);
}

#define OUNCE_BODY_ISA avxvnni
#include "conv_s8f32_body.h"
TARGET_END
#endif
