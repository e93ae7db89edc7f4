// The requantisation rule (common.h) on sixteen accumulators in four registers. Rounding comes before the clamp: the
// bounds are whole numbers, so the order does not show. Every narrowing saturates, and [out_min, out_max] lies within
// int8.
#ifndef OUNCE_REQUANTISE_NEON_H
#define OUNCE_REQUANTISE_NEON_H

#include "vector.h"

#include <arm_neon.h>

typedef struct {
    int32x4_t quarter[4];
} neon_sums;

typedef struct {
    int16x8_t zero;
    int8x16_t low, high;
} neon_range;

OUNCE_INLINE neon_range make_neon_range(int32_t out_min, int32_t out_max, int32_t zero) {
    return (neon_range){vdupq_n_s16((int16_t)zero), vdupq_n_s8((int8_t)out_min), vdupq_n_s8((int8_t)out_max)};
}

OUNCE_INLINE int32x4_t neon_rounded(int32x4_t sum, float32x4_t scale) {
    return vcvtnq_s32_f32(vmulq_f32(vcvtq_f32_s32(sum), scale));
}

OUNCE_INLINE int8x16_t requantised(neon_sums s, const float32x4_t *scale, neon_range r) {
    const int32x4_t a = neon_rounded(s.quarter[0], scale[0]), b = neon_rounded(s.quarter[1], scale[1]);
    const int32x4_t c = neon_rounded(s.quarter[2], scale[2]), d = neon_rounded(s.quarter[3], scale[3]);
    const int16x8_t low = vqaddq_s16(vqmovn_high_s32(vqmovn_s32(a), b), r.zero);
    const int16x8_t high = vqaddq_s16(vqmovn_high_s32(vqmovn_s32(c), d), r.zero);
    return vminq_s8(vmaxq_s8(vqmovn_high_s16(vqmovn_s16(low), high), r.low), r.high);
}

// Stores the first `count` of sixteen.
OUNCE_INLINE void neon_store_some(int8_t *out, const int8x16_t *q, int64_t count) {
    if (count >= OUNCE_LANES) {
        vst1q_s8(out, *q);
    } else {
        store_some(out, q, 1, count);
    }
}

#endif
