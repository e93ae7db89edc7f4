#if defined(__aarch64__)
#include "../target.h"

TARGET("dotprod")
#include "../vector.h"

OUNCE_INLINE v16i dot(v16i acc, const int8_t *x, const char *w) {
    const int8x16_t v = vreinterpretq_s8_s32(vdupq_n_s32(LOAD(int32_t, x)));
    int32x4_t quarter[4];
    memcpy(quarter, &acc, sizeof acc);
    OUNCE_UNROLL for (int i = 0; i < 4; i++) quarter[i] = vdotq_s32(quarter[i], vld1q_s8((const int8_t *)w + 16 * i), v);
    return LOAD(v16i, quarter);
}

#define OUNCE_BODY_ISA neondot
#include "conv_s8f32_body.h"
TARGET_END
#endif
