// Int8 convolution without dot products: both factors widened to int16, multiplied by lane into int32.
#if defined(__aarch64__)
#include "../target.h"

#include "tile.h"

#define OUNCE_BODY_ISA neon
#define TILE_INPUT int8_t
#define TILE_OUTPUT int8_t
#define TILE_WIDE 4
#define TILE_NARROW 4
#define TILE_GROUP 1
#define TILE_VARIANTS(V) V(1, 1) V(2, 1) V(4, 1) V(1, 2) V(1, 3) V(1, 4)
#include "tile_body.h"

typedef struct {
    int32x4_t quarter[4];
} acc16;

// Adds x[lane] times the sixteen weights at w.
#define STEP(lane)                                                                                             \
    OUNCE_UNROLL for (int n = 0; n < panels; n++) {                                                            \
        const int8x16_t weights = vld1q_s8((const int8_t *)w + (size_t)n * t->panel_bytes + 16 * (lane));      \
        const int16x8_t low = vmovl_s8(vget_low_s8(weights)), high = vmovl_high_s8(weights);                   \
        OUNCE_UNROLL for (int m = 0; m < pixels; m++) {                                                        \
            int32x4_t *a = acc[m][n].quarter;                                                                  \
            a[0] = vmlal_laneq_s16(a[0], vget_low_s16(low), v[m], lane);                                       \
            a[1] = vmlal_high_laneq_s16(a[1], low, v[m], lane);                                                \
            a[2] = vmlal_laneq_s16(a[2], vget_low_s16(high), v[m], lane);                                      \
            a[3] = vmlal_high_laneq_s16(a[3], high, v[m], lane);                                               \
        }                                                                                                      \
    }

OUNCE_INLINE void tile(const tile_call *t, const int pixels, const int panels) {
    const conv_shape s = *t->shape;
    acc16 acc[TILE_PIXELS][TILE_PANELS];
    OUNCE_UNROLL for (int n = 0; n < panels; n++) {
        const acc16 start = LOAD(acc16, t->panel + (size_t)n * t->panel_bytes);
        OUNCE_UNROLL for (int m = 0; m < pixels; m++) acc[m][n] = start;
    }
    const int8_t *x[TILE_PIXELS];
    OUNCE_UNROLL for (int m = 0; m < pixels; m++) x[m] = t->x[m];
    const char *w = t->panel + PANEL_HEADER;
    for (int64_t row = 0; row < s.rows; row++) {
        for (int64_t column = 0; column < s.columns; column++) {
            const int64_t from = row * s.row_step + column * s.column_step;
            int64_t k = from;
            int16x8_t v[TILE_PIXELS];
            for (; k + 8 <= from + s.length; k += 8, w += 8 * 16) {
                OUNCE_UNROLL for (int m = 0; m < pixels; m++) v[m] = vmovl_s8(vld1_s8(x[m] + k));
                STEP(0) STEP(1) STEP(2) STEP(3) STEP(4) STEP(5) STEP(6) STEP(7)
            }
            for (; k < from + s.length; k++, w += 16) {
                OUNCE_UNROLL for (int m = 0; m < pixels; m++) v[m] = vdupq_n_s16(x[m][k]);
                STEP(0)
            }
        }
    }
    const ounce_range range = ounce_make_range(t->p->out_min, t->p->out_max, t->p->out_zero);
    OUNCE_UNROLL for (int n = 0; n < panels; n++) {
        const v16f scale = LOAD(v16f, t->panel + (size_t)n * t->panel_bytes + sizeof(v16i));
        OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
            if (m >= t->count) break;
            store_requantised(t->out[m] + n * OUNCE_LANES, LOAD(v16i, &acc[m][n]), scale, range,
                              t->channels - n * OUNCE_LANES);
        }
    }
}

#define TILE_PANEL_BYTES(shape) s8_panel_bytes(shape, 1, 1)
#include "conv_s8_walk.h"
#endif
