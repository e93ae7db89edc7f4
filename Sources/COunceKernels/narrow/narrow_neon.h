// Without dot products: products of a small weight and an input are at most 8 * 128 in size, so the eight of a block fit
// int16; neighbours are added when the block is done.
#include "../target.h"

#include "narrow.h"

typedef int8x8_t in4;
typedef struct {
    int32x4_t quarter[4];
} acc16;
typedef struct {
    int16x8_t eighth[8];  // [channel][input of four]
} blk16;
typedef struct {
    int8x16_t quarter[4];
} w64;
OUNCE_INLINE acc16 acc_load(const void *p) { return LOAD(acc16, p); }
OUNCE_INLINE v16i acc_value(acc16 a) { return LOAD(v16i, &a); }
OUNCE_INLINE in4 in4_load(const int8_t *x) { return vreinterpret_s8_s32(vdup_n_s32(LOAD(int32_t, x))); }
OUNCE_INLINE blk16 blk_zero(void) {
    blk16 zero;
    OUNCE_UNROLL for (int i = 0; i < 8; i++) zero.eighth[i] = vdupq_n_s16(0);
    return zero;
}
OUNCE_INLINE blk16 blk_dot(blk16 a, in4 x, w64 w) {
    OUNCE_UNROLL for (int i = 0; i < 4; i++) {
        a.eighth[2 * i] = vmlal_s8(a.eighth[2 * i], vget_low_s8(w.quarter[i]), x);
        a.eighth[2 * i + 1] = vmlal_s8(a.eighth[2 * i + 1], vget_high_s8(w.quarter[i]), x);
    }
    return a;
}
OUNCE_INLINE w64 unpack(const char *w, const int field) {
    w64 out;
    OUNCE_UNROLL for (int i = 0; i < 4; i++) {
        const int8x16_t shift = vdupq_n_s8((int8_t)(8 - NARROW_BITS * (field + 1)));
        out.quarter[i] = vshrq_n_s8(vshlq_s8(LOAD(int8x16_t, w + 16 * i), shift), 8 - NARROW_BITS);
    }
    return out;
}
OUNCE_INLINE acc16 acc_add(acc16 a, blk16 sum, const char *factors) {
    const int8x16_t bytes = LOAD(int8x16_t, factors);
    const int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_high_s8(bytes);
    const int32x4_t wide[4] = {vmovl_s16(vget_low_s16(low)), vmovl_high_s16(low), vmovl_s16(vget_low_s16(high)),
                               vmovl_high_s16(high)};
    OUNCE_UNROLL for (int i = 0; i < 4; i++) {
        const int32x4_t four = vpaddq_s32(vpaddlq_s16(sum.eighth[2 * i]), vpaddlq_s16(sum.eighth[2 * i + 1]));
        a.quarter[i] = vmlaq_s32(a.quarter[i], four, wide[i]);
    }
    return a;
}

#define OUNCE_BODY_ISA neon
#define TILE_WIDE 1
#define TILE_NARROW 1
#define TILE_GROUP 1
#define TILE_VARIANTS(V) V(1, 1) V(1, 2) V(1, 3) V(1, 4)
#include "narrow_body.h"
