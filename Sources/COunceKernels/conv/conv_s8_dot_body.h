// Int8 convolution by dot products of four; compiled once for each instruction set, with the tile sizes that fit its
// registers. The including file defines acc16 (sixteen int32 lanes), acc_load(), acc_value(), in4 (the same four
// inputs for each lane), in4_load(), w64, w64_load() (four weights for each lane) and dot(), and TILE_PANEL_BYTES.
#include "tile.h"

#define TILE_INPUT int8_t
#define TILE_OUTPUT int8_t
#include "tile_body.h"

OUNCE_INLINE void tile(const tile_call *t, const int pixels, const int panels) {
    const conv_shape s = *t->shape;
    acc16 acc[TILE_PIXELS][TILE_PANELS];
    OUNCE_UNROLL for (int n = 0; n < panels; n++) {
        const acc16 start = acc_load(t->panel + (size_t)n * t->panel_bytes);
        OUNCE_UNROLL for (int m = 0; m < pixels; m++) acc[m][n] = start;
    }
    const int8_t *x[TILE_PIXELS];
    OUNCE_UNROLL for (int m = 0; m < pixels; m++) x[m] = t->x[m];
    const char *w = t->panel + PANEL_HEADER;
    for (int64_t row = 0; row < s.rows; row++) {
        for (int64_t column = 0; column < s.columns; column++) {
            const int64_t from = row * s.row_step + column * s.column_step;
            for (int64_t k = from; k < from + s.length; k += 4, w += 64) {
                w64 weights[TILE_PANELS];
                OUNCE_UNROLL for (int n = 0; n < panels; n++) weights[n] = w64_load(w + (size_t)n * t->panel_bytes);
                OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
                    const in4 v = in4_load(x[m] + k);
                    OUNCE_UNROLL for (int n = 0; n < panels; n++) acc[m][n] = dot(acc[m][n], v, weights[n]);
                }
            }
        }
    }
    const ounce_range range = ounce_make_range(t->p->out_min, t->p->out_max, t->p->out_zero);
    OUNCE_UNROLL for (int n = 0; n < panels; n++) {
        const v16f scale = LOAD(v16f, t->panel + (size_t)n * t->panel_bytes + sizeof(v16i));
        OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
            if (m >= t->count) break;
            store_requantised(t->out[m] + n * OUNCE_LANES, acc_value(acc[m][n]), scale, range,
                              t->channels - n * OUNCE_LANES);
        }
    }
}

#include "conv_s8_walk.h"
