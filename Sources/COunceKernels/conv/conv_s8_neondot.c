#if defined(__aarch64__)
#include "../target.h"

TARGET("dotprod")
#include "../vector.h"

typedef int8x16_t in4;
typedef struct {
    int32x4_t quarter[4];
} acc16;
typedef struct {
    int8x16_t quarter[4];
} w64;
OUNCE_INLINE acc16 acc_load(const void *p) { return LOAD(acc16, p); }
OUNCE_INLINE v16i acc_value(acc16 a) { return LOAD(v16i, &a); }
OUNCE_INLINE in4 in4_load(const int8_t *x) { return vreinterpretq_s8_s32(vdupq_n_s32(LOAD(int32_t, x))); }
OUNCE_INLINE w64 w64_load(const char *w) { return LOAD(w64, w); }
OUNCE_INLINE acc16 dot(acc16 a, in4 x, w64 w) {
    return (acc16){{vdotq_s32(a.quarter[0], w.quarter[0], x), vdotq_s32(a.quarter[1], w.quarter[1], x),
                    vdotq_s32(a.quarter[2], w.quarter[2], x), vdotq_s32(a.quarter[3], w.quarter[3], x)}};
}

#define OUNCE_BODY_ISA neondot
#define TILE_PANEL_BYTES(shape) s8_panel_bytes(shape, 4, 1)
#define TILE_WIDE 6
#define TILE_NARROW 6
#define TILE_GROUP 1
#define TILE_VARIANTS(V) V(1, 1) V(2, 1) V(4, 1) V(6, 1) V(1, 2) V(1, 3) V(1, 4)
#include "conv_s8_dot_body.h"
TARGET_END
#endif
