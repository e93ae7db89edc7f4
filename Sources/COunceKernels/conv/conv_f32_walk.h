// Float convolution over the walk of walk.h; compiled once for each instruction set. The including file defines
// WALK_REGISTERS and WALK_VARIANTS.
#include "walk.h"

#define WALK_INPUT float
#define WALK_OUTPUT float
#include "walk_body.h"

OUNCE_INLINE void tile(const tile_call *t, const int pixels, const int panels) {
    const conv_walk w = *t->walk;
    v16f acc[WALK_PIXELS][4];
    OUNCE_UNROLL for (int n = 0; n < panels; n++) {
        const v16f bias = LOAD(v16f, t->panel + (size_t)n * w.panel_bytes);
        OUNCE_UNROLL for (int m = 0; m < pixels; m++) acc[m][n] = bias;
    }
    const float *const *x = t->x;
    const char *weights = t->panel + F32_HEADER;
    const ptrdiff_t soon = t->soon - t->panel;
    for (int64_t row = 0; row < w.rows; row++) {
        for (int64_t column = 0; column < w.columns; column++) {
            int64_t k = t->in_offset + row * w.row_step + column * w.column_step;
            const int64_t end = k + w.length;
            __asm__("" : "+r"(k));  // one index for all pixels, not a pointer for each
            for (; k < end; k++, weights += sizeof(v16f)) {
                v16f wide[4];
                OUNCE_UNROLL for (int n = 0; n < panels; n++) wide[n] = LOAD(v16f, weights + (size_t)n * w.panel_bytes);
                __builtin_prefetch(weights + soon, 0, 2);
                OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
                    const v16f v = splat(x[m][k]);
                    OUNCE_UNROLL for (int n = 0; n < panels; n++) {
                        acc[m][n] = __builtin_elementwise_fma(v, wide[n], acc[m][n]);
                    }
                }
            }
        }
    }
    const float min = t->p->min, max = t->p->max;
    const int64_t channels = t->channels, offset = t->out_offset;
    if (OUNCE_LIKELY(channels >= panels * OUNCE_LANES)) {
        OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
            float *out = t->out[m] + offset;
            OUNCE_UNROLL for (int n = 0; n < panels; n++) {
                store_clamped(out + n * OUNCE_LANES, acc[m][n], min, max, OUNCE_LANES);
            }
        }
    } else {
        OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
            OUNCE_UNROLL for (int n = 0; n < panels; n++) {
                float *out = t->out[m] + offset + n * OUNCE_LANES;
                store_clamped(out, acc[m][n], min, max, channels - n * OUNCE_LANES);
            }
        }
    }
}

void OUNCE_NAME(conv_f32)(const ounce_call *call, int64_t begin, int64_t end) {
    const conv_walk w = f32_walk(call->params, WALK_REGISTERS);
    walk_units(call, &w, begin, end);
}
