#if defined(__aarch64__)
#include "peak.h"

#define FLOATS(acc, a, b) vfmaq_f32(acc, a, b)
PEAK_LOOP(ounce_peak_f32_neon, float32x4_t, PEAK_ACCUMULATORS, "w", 4, FLOATS)

// Products of eight, whose pairs are added.
#define EIGHTS(acc, a, b) \
    vpadalq_s16(acc, vmull_s8(vget_low_s8(vreinterpretq_s8_s32(a)), vget_low_s8(vreinterpretq_s8_s32(b))))
PEAK_LOOP(ounce_peak_s8_neon, int32x4_t, PEAK_ACCUMULATORS, "w", 8, EIGHTS)
#endif
