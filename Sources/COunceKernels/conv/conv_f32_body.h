// Float convolution; compiled once for each instruction set, with the tile sizes that fit its registers.
#include "tile.h"

#define TILE_INPUT float
#define TILE_OUTPUT float
#include "tile_body.h"

OUNCE_INLINE void tile(const tile_call *t, const int pixels, const int panels) {
    const conv_shape s = *t->shape;
    v16f acc[TILE_PIXELS][TILE_PANELS];
    OUNCE_UNROLL for (int n = 0; n < panels; n++) {
        const v16f bias = LOAD(v16f, t->panel + (size_t)n * t->panel_bytes);
        OUNCE_UNROLL for (int m = 0; m < pixels; m++) acc[m][n] = bias;
    }
    const float *x[TILE_PIXELS];
    OUNCE_UNROLL for (int m = 0; m < pixels; m++) x[m] = t->x[m];
    const char *w = t->panel + sizeof(v16f);
    for (int64_t row = 0; row < s.rows; row++) {
        for (int64_t column = 0; column < s.columns; column++) {
            const int64_t from = row * s.row_step + column * s.column_step;
            for (int64_t k = from; k < from + s.length; k++, w += sizeof(v16f)) {
                v16f wide[TILE_PANELS];
                OUNCE_UNROLL for (int n = 0; n < panels; n++) wide[n] = LOAD(v16f, w + (size_t)n * t->panel_bytes);
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
    OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
        if (m >= t->count) break;
        OUNCE_UNROLL for (int n = 0; n < panels; n++) {
            store_clamped(t->out[m] + n * OUNCE_LANES, acc[m][n], min, max, t->channels - n * OUNCE_LANES);
        }
    }
}

void OUNCE_NAME(conv_f32)(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_conv_params *p = call->params;
    const conv_shape s = make_conv_shape(p);
    tile_call t = {.panel_bytes = f32_panel_bytes(&s), .shape = &s, .p = p,
                   .residual = residual_offset(call)};
    tile_pixels pixels = {.count = 0};
    const float *x[TILE_PIXELS];
    float *out[TILE_PIXELS];
    for (int64_t unit = begin, current = -1; unit < end; unit++) {
        if (unit / s.blocks != current) {
            current = unit / s.blocks;
            make_tile_pixels(p, &s, current, &pixels);
            for (int m = 0; m < TILE_PIXELS; m++) {
                x[m] = (const float *)call->in[0] + pixels.in[m];
                out[m] = (float *)call->out + pixels.out[m];
            }
        }
        tile_unit(&t, x, out, pixels.count, unit % s.blocks, call->packed);
    }
}
