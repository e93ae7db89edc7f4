// Float convolution over the walk of walk.h; compiled once for each instruction set. The including file defines
// WALK_REGISTERS, WALK_PIXELS and WALK_VARIANTS.
#include "walk.h"

#define WALK_INPUT float
#define WALK_OUTPUT float
#define WALK_SPREADS
#define WALK_ADDS_RESIDUAL
#include "walk_body.h"

// The first `channels` sums of each pixel.
OUNCE_INLINE void store_tile(const tile_call *t, v16f (*acc)[4], const int pixels, const int panels, const int residual,
                             int64_t channels) {
    const float min = t->p->min, max = t->p->max, residual_min = t->p->residual_min, residual_max = t->p->residual_max;
    const int64_t offset = t->out_offset;
    const intptr_t to_residual = t->residual;
    OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
        float *out = t->out[m] + offset;
        OUNCE_UNROLL for (int n = 0; n < panels; n++, out += OUNCE_LANES) {
            v16f v = clamped(acc[m][n], min, max);
            if (residual) v = clamped(v + LOAD(v16f, RESIDUAL(out, to_residual)), residual_min, residual_max);
            store_first(out, v, channels - n * OUNCE_LANES);
        }
    }
}

OUNCE_INLINE void tile(const tile_call *t, const int pixels, const int panels) {
    const conv_walk w = *t->walk;
    v16f acc[WALK_PIXELS][4];
    OUNCE_UNROLL for (int n = 0; n < panels; n++) {
        const v16f bias = LOAD(v16f, t->panel + (size_t)n * w.panel_bytes);
        OUNCE_UNROLL for (int m = 0; m < pixels; m++) acc[m][n] = bias;
    }
    const int residual = t->p->has_residual;
    if (residual) {
        OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
            const float *from = RESIDUAL(t->out[m] + t->out_offset, t->residual);
            OUNCE_UNROLL for (int n = 0; n < panels; n++) __builtin_prefetch(from + n * OUNCE_LANES, 0, 3);
        }
    }
    const float *const *x = t->x;
    const char *weights = t->panel + F32_HEADER;
    const char *soon = t->soon;
    const ptrdiff_t step = t->soon_step;
    for (int64_t row = 0; row < w.rows; row++) {
        for (int64_t column = 0; column < w.columns; column++) {
            int64_t k = t->in_offset + row * w.row_step + column * w.column_step;
            const int64_t end = k + w.length;
            __asm__("" : "+r"(k));  // one index for all pixels, not a pointer for each
            for (; k < end; k++, weights += sizeof(v16f)) {
                v16f wide[4];
                OUNCE_UNROLL for (int n = 0; n < panels; n++) wide[n] = LOAD(v16f, weights + (size_t)n * w.panel_bytes);
                __builtin_prefetch(soon, 0, 3);
                soon += step;
                OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
                    const v16f v = splat(x[m][k]);
                    OUNCE_UNROLL for (int n = 0; n < panels; n++) {
                        acc[m][n] = __builtin_elementwise_fma(v, wide[n], acc[m][n]);
                    }
                }
            }
        }
    }
    if (OUNCE_LIKELY(t->channels >= panels * OUNCE_LANES)) {
        if (residual) {
            store_tile(t, acc, pixels, panels, 1, panels * OUNCE_LANES);
        } else {
            store_tile(t, acc, pixels, panels, 0, panels * OUNCE_LANES);
        }
    } else {
        store_tile(t, acc, pixels, panels, 0, t->channels);
        if (residual) add_residual(t, t->count, t->out_offset, t->out_offset + t->channels);
    }
}

void OUNCE_NAME(conv_f32)(const ounce_call *call, int64_t begin, int64_t end) {
    const conv_walk w = f32_walk(call->params, WALK_REGISTERS);
    walk_units(call, &w, begin, end);
}
