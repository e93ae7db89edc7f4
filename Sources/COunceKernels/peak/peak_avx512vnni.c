#if defined(__x86_64__)
#include "peak.h"

TARGET("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")

#define FLOATS(acc, a, b) _mm512_fmadd_ps(a, b, acc)
PEAK_LOOP(ounce_peak_f32_avx512vnni, __m512, PEAK_ACCUMULATORS, "v", 16, FLOATS)

#define FOURS(acc, a, b) _mm512_dpbusd_epi32(acc, a, b)
PEAK_LOOP(ounce_peak_s8_avx512vnni, __m512i, PEAK_ACCUMULATORS, "v", 64, FOURS)

TARGET_END
#endif
