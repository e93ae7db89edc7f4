// Float depthwise convolution, sixteen channels of DEPTHWISE_PIXELS output pixels at a time; compiled once for each
// instruction set. Packed: for each 16 channels 16 biases, then [tap][16]. A unit is a tile of pixels.
#include "depthwise.h"

OUNCE_INLINE void pixels_by_channels(const depthwise_view *v, const float *const *in, float *const *out, int64_t first,
                                     int count, int64_t channel, const char *panel) {
    const ounce_conv_params *p = &v->p;
    v16f acc[DEPTHWISE_PIXELS];
    const v16f bias = LOAD(v16f, panel);
    OUNCE_UNROLL for (int m = 0; m < DEPTHWISE_PIXELS; m++) acc[m] = bias;
    for (int64_t ky = 0; ky < p->kernel_h; ky++) {
        for (int64_t kx = 0; kx < p->kernel_w; kx++) {
            panel += sizeof(v16f);
            const v16f w = LOAD(v16f, panel);
            const int64_t offset = ky * v->row_step + kx * v->column_step + channel;
            OUNCE_UNROLL for (int m = 0; m < DEPTHWISE_PIXELS; m++) {
                acc[m] = __builtin_elementwise_fma(LOAD(v16f, in[m] + offset), w, acc[m]);
            }
        }
    }
    OUNCE_UNROLL for (int m = 0; m < DEPTHWISE_PIXELS; m++) {
        const int64_t lanes = depthwise_lanes(v, first + m, channel);
        if (m < count) store_clamped(out[m] + channel, acc[m], p->min, p->max, lanes);
    }
}

void OUNCE_NAME(dwconv_f32)(const ounce_call *call, int64_t begin, int64_t end) {
    const depthwise_view v = make_depthwise_view(call->params);
    const size_t panel_bytes = depthwise_f32_panel(&v.p);
    for (int64_t unit = begin; unit < end; unit++) {
        int64_t in_at[DEPTHWISE_PIXELS], out_at[DEPTHWISE_PIXELS];
        const int count = depthwise_tile(&v, unit, in_at, out_at);
        const float *in[DEPTHWISE_PIXELS];
        float *out[DEPTHWISE_PIXELS];
        for (int m = 0; m < DEPTHWISE_PIXELS; m++) {
            in[m] = (const float *)call->in[0] + in_at[m];
            out[m] = (float *)call->out + out_at[m];
        }
        const char *panel = call->packed;
        for (int64_t channel = 0; channel < v.p.out_c; channel += OUNCE_LANES, panel += panel_bytes) {
            pixels_by_channels(&v, in, out, unit * DEPTHWISE_PIXELS, count, channel, panel);
        }
    }
}
