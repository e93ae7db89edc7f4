#if defined(__x86_64__)
#include "peak.h"

TARGET("avx2,fma")

#define FLOATS(acc, a, b) _mm256_fmadd_ps(a, b, acc)
PEAK_LOOP(ounce_peak_f32_avx2, __m256, PEAK_ACCUMULATORS, "x", 8, FLOATS)

#define PAIRS(acc, a, b) _mm256_add_epi32(acc, _mm256_madd_epi16(a, b))
PEAK_LOOP(ounce_peak_s8_avx2, __m256i, PEAK_ACCUMULATORS, "x", 16, PAIRS)

TARGET_END
#endif
