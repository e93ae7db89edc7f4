#if defined(__aarch64__)
#include "../target.h"

TARGET("dotprod")
#include "../vector.h"

#define OUNCE_BODY_ISA neondot
#define S8_GROUP 4
#define S8_FLIP 0
#define S8_ROWS 6
#define S8_PANELS 1

typedef int8x16_t s8_word;
typedef int8x16x4_t s8_wide;

OUNCE_INLINE s8_wide s8_load(const char *from) { return vld1q_s8_x4((const int8_t *)from); }
OUNCE_INLINE s8_word s8_spread(const void *from) { return vreinterpretq_s8_s32(vdupq_n_s32(LOAD(int32_t, from))); }
OUNCE_INLINE v16i s8_dot(v16i acc, s8_word x, s8_wide w) {
    int32x4_t quarter[4];
    memcpy(quarter, &acc, sizeof acc);
    OUNCE_UNROLL for (int i = 0; i < 4; i++) quarter[i] = vdotq_s32(quarter[i], w.val[i], x);
    return LOAD(v16i, quarter);
}

#include "matmul_s8_tile.h"
#include "matmul_s8_body.h"
#include "../attention/attention_s8_body.h"
TARGET_END
#endif
