#if defined(__aarch64__)
#include "../target.h"

TARGET("dotprod")
#include "../requantise_neon.h"

#define OUNCE_BODY_ISA neondot
#define ARM_PIXELS 6
#define ARM_GROUP 4
#define ARM_ALONE 4
#define ARM_VARIANTS(V) V(1, 1) V(2, 1) V(3, 1) V(4, 1) V(5, 1) V(6, 1) V(1, 4)

typedef struct {
    neon_sums pixel[ARM_PIXELS];
} sums;

OUNCE_INLINE void sums_start(sums *s, const void *start, const int pixels) {
    OUNCE_UNROLL for (int m = 0; m < pixels; m++) s->pixel[m] = LOAD(neon_sums, start);
}
OUNCE_INLINE neon_sums sums_pixel(const sums *s, const int m) { return s->pixel[m]; }

#define ADD_GROUP(lane)                                                                             \
    if (lane < groups) {                                                                            \
        OUNCE_UNROLL for (int i = 0; i < 4; i++) {                                                  \
            const int8x16_t weights = vld1q_s8(w + 64 * lane + 16 * i);                             \
            OUNCE_UNROLL for (int m = 0; m < pixels; m++) {                                         \
                int32x4_t *a = &s->pixel[m].quarter[i];                                             \
                *a = vdotq_laneq_s32(*a, weights, x[m], lane);                                      \
            }                                                                                       \
        }                                                                                           \
    }
OUNCE_INLINE void sums_add(sums *s, const int8x16_t *x, const int8_t *w, const int pixels, const int groups) {
    ADD_GROUP(0) ADD_GROUP(1) ADD_GROUP(2) ADD_GROUP(3)
}

#include "conv_s8_arm_body.h"
TARGET_END
#endif
