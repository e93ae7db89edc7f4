// Fields are used where they stand at the top of their byte: 2^(8 - bits) times the weight.
#include "../target.h"

TARGET("dotprod")
#include "narrow.h"

typedef int8x16_t in4;
typedef struct {
    int32x4_t quarter[4];
} acc16, blk16;
typedef struct {
    int8x16_t quarter[4];
} w64;
OUNCE_INLINE acc16 acc_load(const void *p) { return LOAD(acc16, p); }
OUNCE_INLINE v16i acc_value(acc16 a) { return LOAD(v16i, &a); }
OUNCE_INLINE in4 in4_load(const int8_t *x) { return vreinterpretq_s8_s32(vdupq_n_s32(LOAD(int32_t, x))); }
OUNCE_INLINE blk16 blk_zero(void) {
    return (blk16){{vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0)}};
}
OUNCE_INLINE blk16 blk_dot(blk16 a, in4 x, w64 w) {
    OUNCE_UNROLL for (int i = 0; i < 4; i++) a.quarter[i] = vdotq_s32(a.quarter[i], w.quarter[i], x);
    return a;
}
OUNCE_INLINE w64 unpack(const char *w, const int field) {
    w64 out;
    const int8x16_t top = vdupq_n_s8((int8_t)(0xFF << (8 - NARROW_BITS)));
    OUNCE_UNROLL for (int i = 0; i < 4; i++) {
        const int8x16_t shift = vdupq_n_s8((int8_t)(8 - NARROW_BITS * (field + 1)));
        out.quarter[i] = vandq_s8(vshlq_s8(LOAD(int8x16_t, w + 16 * i), shift), top);
    }
    return out;
}
OUNCE_INLINE acc16 acc_add(acc16 a, blk16 sum, const char *factors) {
    const int8x16_t bytes = LOAD(int8x16_t, factors);
    const int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_high_s8(bytes);
    const int32x4_t wide[4] = {vmovl_s16(vget_low_s16(low)), vmovl_high_s16(low), vmovl_s16(vget_low_s16(high)),
                               vmovl_high_s16(high)};
    OUNCE_UNROLL for (int i = 0; i < 4; i++) {
        a.quarter[i] = vmlaq_s32(a.quarter[i], vshrq_n_s32(sum.quarter[i], 8 - NARROW_BITS), wide[i]);
    }
    return a;
}

#define OUNCE_BODY_ISA neondot
#define TILE_WIDE 2
#define TILE_NARROW 2
#define TILE_GROUP 1
#define TILE_VARIANTS(V) V(1, 1) V(2, 1) V(1, 2) V(1, 3) V(1, 4)
#include "narrow_body.h"
TARGET_END
