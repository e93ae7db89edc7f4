#if defined(__aarch64__)
#include "../target.h"

TARGET("dotprod")
#include "../vector.h"

#define SPARSE_ROW 64
#define SPARSE_VECTORS 2
typedef int8x16_t block4;
typedef struct {
    int32x4_t quarter[4];
} acc16;
OUNCE_INLINE void row_store(char *to, v16i row) { memcpy(to, &row, sizeof row); }
OUNCE_INLINE acc16 acc_splat(int32_t x) {
    return (acc16){{vdupq_n_s32(x), vdupq_n_s32(x), vdupq_n_s32(x), vdupq_n_s32(x)}};
}
OUNCE_INLINE v16i acc_value(acc16 a) { return LOAD(v16i, &a); }
OUNCE_INLINE acc16 acc_add(acc16 a, acc16 b) {
    OUNCE_UNROLL for (int i = 0; i < 4; i++) a.quarter[i] = vaddq_s32(a.quarter[i], b.quarter[i]);
    return a;
}
OUNCE_INLINE block4 block_load(const int32_t *weights) { return vreinterpretq_s8_s32(vdupq_n_s32(*weights)); }
OUNCE_INLINE acc16 block_dot(acc16 a, const char *x, block4 w) {
    OUNCE_UNROLL for (int i = 0; i < 4; i++) {
        a.quarter[i] = vdotq_s32(a.quarter[i], vld1q_s8((const int8_t *)x + 16 * i), w);
    }
    return a;
}

#define OUNCE_BODY_ISA neondot
#include "sparse_s8_body.h"
TARGET_END
#endif
