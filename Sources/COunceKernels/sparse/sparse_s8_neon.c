// Without dot products: a row holds its four elements one behind another, sixteen pixels of int16 each.
#if defined(__aarch64__)
#include "../target.h"

#include "../vector.h"

#define SPARSE_ROW 128
#define SPARSE_VECTORS 2
typedef struct {
    int32x4_t quarter[4];
} acc16;
typedef int16x4_t block4;
OUNCE_INLINE void row_store(char *to, v16i row) {
    OUNCE_UNROLL for (int k = 0; k < 4; k++) {
        const v16i x = (v16i)((v16u)row << (24 - 8 * k)) >> 24;
        typedef int16_t v16h __attribute__((vector_size(32)));
        const v16h wide = __builtin_convertvector(x, v16h);
        memcpy(to + 32 * k, &wide, sizeof wide);
    }
}
OUNCE_INLINE acc16 acc_splat(int32_t x) {
    return (acc16){{vdupq_n_s32(x), vdupq_n_s32(x), vdupq_n_s32(x), vdupq_n_s32(x)}};
}
OUNCE_INLINE v16i acc_value(acc16 a) { return LOAD(v16i, &a); }
OUNCE_INLINE acc16 acc_add(acc16 a, acc16 b) {
    OUNCE_UNROLL for (int i = 0; i < 4; i++) a.quarter[i] = vaddq_s32(a.quarter[i], b.quarter[i]);
    return a;
}
OUNCE_INLINE block4 block_load(const int32_t *weights) {
    return vget_low_s16(vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(*weights))));
}
#define STEP(k)                                                                                              \
    {                                                                                                        \
        const int16x8_t low = vld1q_s16((const int16_t *)(x + 32 * (k)));                                    \
        const int16x8_t high = vld1q_s16((const int16_t *)(x + 32 * (k)) + 8);                               \
        a.quarter[0] = vmlal_lane_s16(a.quarter[0], vget_low_s16(low), w, k);                                \
        a.quarter[1] = vmlal_high_lane_s16(a.quarter[1], low, w, k);                                         \
        a.quarter[2] = vmlal_lane_s16(a.quarter[2], vget_low_s16(high), w, k);                               \
        a.quarter[3] = vmlal_high_lane_s16(a.quarter[3], high, w, k);                                        \
    }
OUNCE_INLINE acc16 block_dot(acc16 a, const char *x, block4 w) {
    STEP(0) STEP(1) STEP(2) STEP(3)
    return a;
}

#define OUNCE_BODY_ISA neon
#include "sparse_s8_body.h"
#endif
