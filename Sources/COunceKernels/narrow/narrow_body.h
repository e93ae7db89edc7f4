// Compiled once for each instruction set and number of bits. The including file defines NARROW_BITS, NARROW_SUFFIX, acc16
// (sixteen int32 lanes; acc_load(), acc_value()), in4 (the same four inputs for each lane; in4_load()), w64 (four weights
// for each lane), blk16 (the sums of a block; blk_zero(), blk_dot()), unpack(vector, field) and acc_add(): adds the sums
// of a block times its factors.
#define TILE_INPUT int8_t
#define TILE_OUTPUT int8_t
#include "../conv/tile_body.h"

OUNCE_INLINE void tile(const tile_call *t, const int pixels, const int panels) {
    const conv_shape s = *t->shape;
    acc16 acc[TILE_PIXELS][TILE_PANELS];
    OUNCE_UNROLL for (int n = 0; n < panels; n++) {
        const acc16 start = acc_load(t->panel + (size_t)n * t->panel_bytes);
        OUNCE_UNROLL for (int m = 0; m < pixels; m++) acc[m][n] = start;
    }
    const int8_t *x[TILE_PIXELS];
    OUNCE_UNROLL for (int m = 0; m < pixels; m++) x[m] = t->x[m];
    const char *factors = t->panel + PANEL_HEADER, *w = factors + narrow_factors_bytes(&s);
    const int vectors = NARROW_GROUPS * NARROW_BITS / 8;
    for (int64_t row = 0; row < s.rows; row++) {
        for (int64_t column = 0; column < s.columns; column++) {
            const int64_t from = row * s.row_step + column * s.column_step;
            for (int64_t k = from; k < from + s.length; k += NARROW_BLOCK, factors += OUNCE_LANES) {
                blk16 sum[TILE_PIXELS][TILE_PANELS];
                OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
                    OUNCE_UNROLL for (int n = 0; n < panels; n++) sum[m][n] = blk_zero();
                }
                OUNCE_UNROLL for (int v = 0; v < vectors; v++, w += 64) {
                    OUNCE_UNROLL for (int f = 0; f < 8 / NARROW_BITS; f++) {
                        w64 weights[TILE_PANELS];
                        OUNCE_UNROLL for (int n = 0; n < panels; n++) {
                            weights[n] = unpack(w + (size_t)n * t->panel_bytes, f);
                        }
                        OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
                            const in4 four = in4_load(x[m] + k + 4 * (v + f * vectors));
                            OUNCE_UNROLL for (int n = 0; n < panels; n++) {
                                sum[m][n] = blk_dot(sum[m][n], four, weights[n]);
                            }
                        }
                    }
                }
                OUNCE_UNROLL for (int n = 0; n < panels; n++) {
                    OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
                        acc[m][n] = acc_add(acc[m][n], sum[m][n], factors + (size_t)n * t->panel_bytes);
                    }
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

void OUNCE_CONCAT(OUNCE_NAME(conv_s8), NARROW_SUFFIX)(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_conv_params *p = call->params;
    const conv_shape s = make_conv_shape(p);
    tile_call t = {.panel_bytes = narrow_panel_bytes(&s, NARROW_BITS), .shape = &s, .p = p,
                   .residual = residual_offset(call)};
    tile_pixels pixels = {.count = 0};
    const int8_t *x[TILE_PIXELS];
    int8_t *out[TILE_PIXELS];
    for (int64_t unit = begin, current = -1; unit < end; unit++) {
        if (unit / s.blocks != current) {
            current = unit / s.blocks;
            make_tile_pixels(p, &s, current, &pixels);
            for (int m = 0; m < TILE_PIXELS; m++) {
                x[m] = (const int8_t *)call->in[0] + pixels.in[m];
                out[m] = (int8_t *)call->out + pixels.out[m];
            }
        }
        tile_unit(&t, x, out, pixels.count, unit % s.blocks, call->packed);
    }
}
