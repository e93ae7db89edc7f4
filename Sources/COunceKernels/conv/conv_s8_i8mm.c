#if defined(__aarch64__)
#include "../target.h"

TARGET("i8mm")
#include "../requantise_neon.h"

#define OUNCE_BODY_ISA i8mm
#define ARM_PIXELS 6
#define ARM_GROUP 8
#define ARM_ALONE 2
#define ARM_VARIANTS(V) V(2, 1) V(4, 1) V(6, 1) V(1, 2)

// One instruction multiplies two pixels by two channels: sums [pixel 0][c, c + 1], [pixel 1][c, c + 1].
typedef struct {
    int32x4_t pair[ARM_PIXELS / 2][8];
} sums;

OUNCE_INLINE void sums_start(sums *s, const void *start, const int pixels) {
    OUNCE_UNROLL for (int i = 0; i < 8; i++) {
        const int32x4_t both = vreinterpretq_s32_s64(vdupq_n_s64(LOAD(int64_t, (const char *)start + 8 * i)));
        OUNCE_UNROLL for (int m = 0; m < pixels; m += 2) s->pair[m / 2][i] = both;
    }
}

OUNCE_INLINE int32x4_t channels(const int32x4_t *pair, const int odd) {
    const int64x2_t a = vreinterpretq_s64_s32(pair[0]), b = vreinterpretq_s64_s32(pair[1]);
    return vreinterpretq_s32_s64(odd ? vzip2q_s64(a, b) : vzip1q_s64(a, b));
}
OUNCE_INLINE neon_sums sums_pixel(const sums *s, const int m) {
    const int32x4_t *pair = s->pair[m / 2];
    return (neon_sums){{channels(pair, m % 2), channels(pair + 2, m % 2), channels(pair + 4, m % 2),
                        channels(pair + 6, m % 2)}};
}

OUNCE_INLINE int8x16_t eights(int8x16_t a, int8x16_t b, const int high) {
    const int64x2_t c = vreinterpretq_s64_s8(a), d = vreinterpretq_s64_s8(b);
    return vreinterpretq_s8_s64(high ? vzip2q_s64(c, d) : vzip1q_s64(c, d));
}
OUNCE_INLINE void sums_add(sums *s, const int8x16_t *x, const int8_t *w, const int pixels, const int groups) {
    OUNCE_UNROLL for (int group = 0; group < groups; group++) {
        int8x16_t v[ARM_PIXELS / 2];
        OUNCE_UNROLL for (int m = 0; m < pixels; m += 2) {
            v[m / 2] = eights(x[m], x[m + 1 < pixels ? m + 1 : m], group);
        }
        OUNCE_UNROLL for (int i = 0; i < 8; i++) {
            const int8x16_t weights = vld1q_s8(w + 128 * group + 16 * i);
            OUNCE_UNROLL for (int m = 0; m < pixels; m += 2) {
                s->pair[m / 2][i] = vmmlaq_s32(s->pair[m / 2][i], v[m / 2], weights);
            }
        }
    }
}

#include "conv_s8_arm_body.h"
TARGET_END
#endif
