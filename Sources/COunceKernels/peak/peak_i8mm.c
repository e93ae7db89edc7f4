#if defined(__aarch64__)
#include "peak.h"

TARGET("dotprod,i8mm")

#define EIGHTS(acc, a, b) vmmlaq_s32(acc, vreinterpretq_s8_s32(a), vreinterpretq_s8_s32(b))
PEAK_LOOP(ounce_peak_s8_i8mm, int32x4_t, PEAK_ACCUMULATORS, "w", 32, EIGHTS)

TARGET_END
#endif
