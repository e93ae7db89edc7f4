// Int8 convolution, four products by one instruction. x + 128 is unsigned, as the instruction wants its first factor; the
// start values make up for it (walk_pack.c).
#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma,avxvnni")
#include "../vector.h"

#define PER_WORD 4
// The compiler is not to know that all lanes are the same: it would take a scalar's detour to the exclusive or.
OUNCE_INLINE __m256i constant(void) {
    __m256i v = _mm256_set1_epi8(-128);
    __asm__("" : "+x"(v));
    return v;
}
OUNCE_INLINE __m256i inputs(const int8_t *x, __m256i sign) {
    return _mm256_xor_si256(_mm256_set1_epi32(LOAD(int32_t, x)), sign);
}
OUNCE_INLINE __m256i dot(__m256i a, __m256i x, __m256i w) { return _mm256_dpbusd_avx_epi32(a, x, w); }

#include "conv_s8_half_body.h"

void ounce_conv_s8_avxvnni(const ounce_call *call, int64_t begin, int64_t end) {
    const conv_walk w = s8_dot_walk(call->params, WALK_AVX);
    walk_units(call, &w, begin, end);
}
TARGET_END
#endif
