// Int8 convolution with float results; compiled once for each instruction set. The including file defines
// dot(acc, x, w), which adds to each of sixteen accumulators four inputs by its own four weights, and OUNCE_BODY_ISA. A
// unit is four output pixels by four panels of 16 channels.
#include "conv_s8f32.h"

// Panels past the last one repeat it, pixels past the last one are the last.
OUNCE_INLINE void tile(const ounce_call *call, const conv_s8f32_shape *s, const int8_t *const *x, float *const *out,
                       const int pixels, const int panels, int64_t first) {
    const ounce_conv_params *p = call->params;
    v16i acc[CONV_S8F32_TILE][CONV_S8F32_TILE];
    const char *w[CONV_S8F32_TILE];
    OUNCE_UNROLL for (int n = 0; n < panels; n++) {
        const char *panel = (const char *)call->packed + (size_t)ounce_min64(first + n, s->panels - 1) * s->panel_bytes;
        w[n] = panel + CONV_S8F32_HEADER;
        OUNCE_UNROLL for (int m = 0; m < pixels; m++) acc[m][n] = LOAD(v16i, panel);
    }
    for (int64_t row = 0, at = 0; row < s->rows; row++) {
        for (int64_t column = 0; column < s->columns; column++) {
            const int64_t from = row * s->row_step + column * s->column_step;
            for (int64_t k = from; k < from + s->length; k += 4, at += 64) {
                OUNCE_UNROLL for (int n = 0; n < panels; n++) {
                    OUNCE_UNROLL for (int m = 0; m < pixels; m++) acc[m][n] = dot(acc[m][n], x[m] + k, w[n] + at);
                }
            }
        }
    }
    OUNCE_UNROLL for (int n = 0; n < panels; n++) {
        const int64_t channel = (first + n) * OUNCE_LANES;
        if (channel >= p->out_c) break;
        const v16f scale = LOAD(v16f, w[n] - CONV_S8F32_HEADER + sizeof(v16i));
        OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
            store_clamped(out[m] + channel, __builtin_convertvector(acc[m][n], v16f) * scale, p->min, p->max,
                          p->out_c - channel);
        }
    }
}

void OUNCE_NAME(conv_s8f32)(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_conv_params *p = call->params;
    const conv_s8f32_shape s = make_conv_s8f32_shape(p);
    for (int64_t unit = begin; unit < end; unit++) {
        int64_t in[CONV_S8F32_TILE], to[CONV_S8F32_TILE];
        const int64_t pixel = unit / s.blocks * CONV_S8F32_TILE, first = unit % s.blocks * CONV_S8F32_TILE;
        const int64_t count = ounce_conv_offsets(p, pixel, s.pixels, CONV_S8F32_TILE, in, to);
        const int8_t *x[CONV_S8F32_TILE];
        float *out[CONV_S8F32_TILE];
        for (int m = 0; m < CONV_S8F32_TILE; m++) {
            x[m] = (const int8_t *)call->in[0] + in[m];
            out[m] = (float *)call->out + to[m];
        }
        if (count == 1) {
            tile(call, &s, x, out, 1, CONV_S8F32_TILE, first);
        } else {
            tile(call, &s, x, out, CONV_S8F32_TILE, 2, first);
            if (first + 2 < s.panels) tile(call, &s, x, out, CONV_S8F32_TILE, 2, first + 2);
        }
    }
}
