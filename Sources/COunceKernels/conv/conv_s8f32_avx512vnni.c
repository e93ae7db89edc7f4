#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
#include "../vector.h"

// x + 128 is unsigned, as the instruction wants its first factor.
OUNCE_INLINE v16i dot(v16i acc, const int8_t *x, const char *w) {
    const __m512i v = _mm512_xor_si512(_mm512_set1_epi32(LOAD(int32_t, x)), _mm512_set1_epi32((int32_t)0x80808080));
    return (v16i)_mm512_dpbusd_epi32((__m512i)acc, v, _mm512_loadu_si512(w));
}

#define OUNCE_BODY_ISA avx512vnni
#include "conv_s8f32_body.h"
TARGET_END
#endif
