// Int8 depthwise convolution without dot products: two taps' products fit int16 where no weight is -128
// (2 * 128 * 127 < 2^15), then they are added to int32. Sixteen channels of DEPTHWISE_PIXELS pixels at a time.
#if defined(__aarch64__)
#include "../target.h"

#include "depthwise.h"

typedef struct {
    int32x4_t quarter[4];
} acc16;

OUNCE_INLINE acc16 add_pairs(acc16 a, int16x8_t low, int16x8_t high) {
    return (acc16){{vaddw_s16(a.quarter[0], vget_low_s16(low)), vaddw_high_s16(a.quarter[1], low),
                    vaddw_s16(a.quarter[2], vget_low_s16(high)), vaddw_high_s16(a.quarter[3], high)}};
}

static void pixels_by_channels(const depthwise_view *v, const int8_t *const *in, int8_t *const *out, int64_t first,
                               int count, int64_t channel, const char *panel, const int64_t *offsets) {
    const ounce_conv_params *p = &v->p;
    acc16 acc[DEPTHWISE_PIXELS];
    const acc16 start = LOAD(acc16, panel);
    OUNCE_UNROLL for (int m = 0; m < DEPTHWISE_PIXELS; m++) acc[m] = start;
    const int8_t *w = (const int8_t *)panel + DEPTHWISE_HEADER;
    const int64_t taps = (int64_t)p->kernel_h * p->kernel_w;
    int64_t tap = 0;
    for (; tap + 2 <= taps; tap += 2, w += 32) {
        const int8x16_t wa = vld1q_s8(w), wb = vld1q_s8(w + 16);
        OUNCE_UNROLL for (int m = 0; m < DEPTHWISE_PIXELS; m++) {
            const int8x16_t a = vld1q_s8(in[m] + offsets[tap] + channel),
                b = vld1q_s8(in[m] + offsets[tap + 1] + channel);
            const int16x8_t low = vmull_s8(vget_low_s8(a), vget_low_s8(wa)), high = vmull_high_s8(a, wa);
            acc[m] = add_pairs(acc[m], vmlal_s8(low, vget_low_s8(b), vget_low_s8(wb)), vmlal_high_s8(high, b, wb));
        }
    }
    if (tap < taps) {
        const int8x16_t wa = vld1q_s8(w);
        OUNCE_UNROLL for (int m = 0; m < DEPTHWISE_PIXELS; m++) {
            const int8x16_t a = vld1q_s8(in[m] + offsets[tap] + channel);
            acc[m] = add_pairs(acc[m], vmull_s8(vget_low_s8(a), vget_low_s8(wa)), vmull_high_s8(a, wa));
        }
    }
    const ounce_range range = ounce_make_range(p->out_min, p->out_max, p->out_zero);
    const v16f scale = LOAD(v16f, panel + sizeof(v16i));
    OUNCE_UNROLL for (int m = 0; m < DEPTHWISE_PIXELS; m++) {
        const int64_t lanes = depthwise_lanes(v, first + m, channel);
        if (m < count) store_requantised(out[m] + channel, LOAD(v16i, &acc[m]), scale, range, lanes);
    }
}

void ounce_dwconv_s8_neon(const ounce_call *call, int64_t begin, int64_t end) {
    const depthwise_view v = make_depthwise_view(call->params);
    const size_t panel_bytes = depthwise_s8_panel(&v.p);
    int64_t *offsets = call->scratch;
    for (int64_t ky = 0, tap = 0; ky < v.p.kernel_h; ky++) {
        for (int64_t kx = 0; kx < v.p.kernel_w; kx++, tap++) {
            offsets[tap] = ky * v.row_step + kx * v.column_step;
        }
    }
    for (int64_t unit = begin; unit < end; unit++) {
        int64_t in_at[DEPTHWISE_PIXELS], out_at[DEPTHWISE_PIXELS];
        const int count = depthwise_tile(&v, unit, in_at, out_at);
        const int8_t *in[DEPTHWISE_PIXELS];
        int8_t *out[DEPTHWISE_PIXELS];
        for (int m = 0; m < DEPTHWISE_PIXELS; m++) {
            in[m] = (const int8_t *)call->in[0] + in_at[m];
            out[m] = (int8_t *)call->out + out_at[m];
        }
        const char *panel = call->packed;
        for (int64_t channel = 0; channel < v.p.out_c; channel += OUNCE_LANES, panel += panel_bytes) {
            pixels_by_channels(&v, in, out, unit * DEPTHWISE_PIXELS, count, channel, panel, offsets);
        }
    }
}
#endif
