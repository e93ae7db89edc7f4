#if defined(__aarch64__)
#include "peak.h"

TARGET("dotprod")

#define FOURS(acc, a, b) vdotq_s32(acc, vreinterpretq_s8_s32(a), vreinterpretq_s8_s32(b))
PEAK_LOOP(ounce_peak_s8_neondot, int32x4_t, PEAK_ACCUMULATORS, "w", 16, FOURS)

TARGET_END
#endif
