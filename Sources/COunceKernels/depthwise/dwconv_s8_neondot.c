#if defined(__aarch64__)
#include "../target.h"

TARGET("dotprod")
#include "../vector.h"

#define GROUP 4
#define POSITIONS 4
typedef struct {
    int32x4_t quarter[4];
} acc16;
typedef struct {
    int8x16_t quarter[4];
} x64, w64;
OUNCE_INLINE acc16 acc_load(const void *p) { return LOAD(acc16, p); }
OUNCE_INLINE v16i acc_value(acc16 a) { return LOAD(v16i, &a); }
OUNCE_INLINE x64 x64_load(const char *x) { return LOAD(x64, x); }
OUNCE_INLINE w64 w64_load(const char *w) { return LOAD(w64, w); }
OUNCE_INLINE acc16 dot(acc16 a, x64 x, w64 w) {
    return (acc16){{vdotq_s32(a.quarter[0], w.quarter[0], x.quarter[0]),
                    vdotq_s32(a.quarter[1], w.quarter[1], x.quarter[1]),
                    vdotq_s32(a.quarter[2], w.quarter[2], x.quarter[2]),
                    vdotq_s32(a.quarter[3], w.quarter[3], x.quarter[3])}};
}

OUNCE_INLINE void interleave(const int8_t *const taps[GROUP], int64_t count, char *to) {
    for (int64_t i = 0; i < count; i += 16, to += 64) {
        const int8x16x4_t v = {{vld1q_s8(taps[0] + i), vld1q_s8(taps[1] + i), vld1q_s8(taps[2] + i),
            vld1q_s8(taps[3] + i)}};
        vst4q_s8((int8_t *)to, v);
    }
}

#define OUNCE_BODY_ISA neondot
#include "interleave_body.h"
TARGET_END
#endif
