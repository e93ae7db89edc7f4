#if defined(__aarch64__)
#include "../target.h"

#include "../vector.h"

// Products in int16, which holds -128 by -128, then sums of pairs in int32.
OUNCE_INLINE v16i dot(v16i acc, const int8_t *x, const char *w) {
    const int8x16_t v = vreinterpretq_s8_s32(vdupq_n_s32(LOAD(int32_t, x)));
    int32x4_t quarter[4];
    memcpy(quarter, &acc, sizeof acc);
    OUNCE_UNROLL for (int i = 0; i < 4; i++) {
        const int8x16_t weights = vld1q_s8((const int8_t *)w + 16 * i);
        const int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(weights), vget_low_s8(v)));
        const int32x4_t high = vpaddlq_s16(vmull_high_s8(weights, v));
        quarter[i] = vaddq_s32(quarter[i], vpaddq_s32(low, high));
    }
    return LOAD(v16i, quarter);
}

#define OUNCE_BODY_ISA neon
#include "conv_s8f32_body.h"
#endif
