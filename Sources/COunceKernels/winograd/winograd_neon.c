// Winograd's convolution with NEON's products of int16 by lane into int32.
#if defined(__aarch64__)
#include "../target.h"

#include "../requantise_neon.h"

#define OUNCE_BODY_ISA neon
#define WINOGRAD_SHORTS 8
#define WINOGRAD_WORDS 4
#define WINOGRAD_AT_ONCE 4
#define WINOGRAD_VARIANTS(V) V(1) V(2) V(3) V(4)
typedef neon_range output_range;
#include "winograd_body.h"

// Adds x[lane] times the sixteen weights at w.
#define STEP(lane)                                                                                   \
    {                                                                                                \
        const int16x8_t low = vld1q_s16(w + 16 * (lane)), high = vld1q_s16(w + 16 * (lane) + 8);     \
        OUNCE_UNROLL for (int m = 0; m < tiles; m++) {                                               \
            int32x4_t *a = acc[m].quarter;                                                           \
            a[0] = vmlal_laneq_s16(a[0], vget_low_s16(low), v[m], lane);                             \
            a[1] = vmlal_high_laneq_s16(a[1], low, v[m], lane);                                      \
            a[2] = vmlal_laneq_s16(a[2], vget_low_s16(high), v[m], lane);                            \
            a[3] = vmlal_high_laneq_s16(a[3], high, v[m], lane);                                     \
        }                                                                                            \
    }

OUNCE_INLINE void products(const int16_t *x, int64_t tile_step, const int16_t *w, int64_t depth, int32_t *sums,
                           const int tiles) {
    neon_sums acc[WINOGRAD_AT_ONCE];
    OUNCE_UNROLL for (int m = 0; m < tiles; m++) acc[m] = (neon_sums){0};
    for (const int16_t *end = x + depth; x < end; x += 8, w += 8 * OUNCE_LANES) {
        int16x8_t v[WINOGRAD_AT_ONCE];
        OUNCE_UNROLL for (int m = 0; m < tiles; m++) v[m] = vld1q_s16(x + m * tile_step);
        STEP(0) STEP(1) STEP(2) STEP(3) STEP(4) STEP(5) STEP(6) STEP(7)
    }
    OUNCE_UNROLL for (int m = 0; m < tiles; m++) memcpy(sums + m * OUNCE_LANES, &acc[m], sizeof acc[m]);
}

OUNCE_INLINE output_range make_output_range(const ounce_conv_params *p) {
    return make_neon_range(p->out_min, p->out_max, p->out_zero);
}

OUNCE_INLINE void store_pixels(int8_t *out, int64_t step, const int32_t *sums, const float *scale, output_range range,
                               int64_t pixels, int64_t channels) {
    const float32x4_t scales[4] = {vld1q_f32(scale), vld1q_f32(scale + 4), vld1q_f32(scale + 8), vld1q_f32(scale + 12)};
    for (int64_t x = 0; x < pixels; x++, out += step, sums += OUNCE_LANES) {
        const int8x16_t q = requantised(LOAD(neon_sums, sums), scales, range);
        neon_store_some(out, &q, channels);
    }
}
#endif
