#if defined(__x86_64__)
#include "peak.h"

TARGET("avx2,fma,avxvnni")

#define FOURS(acc, a, b) _mm256_dpbusd_avx_epi32(acc, a, b)
PEAK_LOOP(ounce_peak_s8_avxvnni, __m256i, PEAK_ACCUMULATORS, "x", 32, FOURS)

TARGET_END
#endif
