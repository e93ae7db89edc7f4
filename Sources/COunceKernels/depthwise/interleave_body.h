// Int8 depthwise convolution over interleaved input; compiled once for each instruction set. The including file defines
// GROUP, acc16 with acc_load() and acc_value(), x64 with x64_load() (a place's group for each lane), w64 with w64_load(),
// dot(), and interleave(taps, count, to): writes [place][GROUP] for at least `count` places, in whole vectors of at most 64.
#include "interleave.h"

OUNCE_INLINE void block_run(const interleaving *s, const char *block, const char *x, int64_t x_step, int8_t *out,
                            int64_t out_step, int64_t first, int64_t positions, int64_t places, ounce_range range,
                            const int64_t planes, const int64_t shifts) {
    const acc16 start = acc_load(block);
    const v16f scale = LOAD(v16f, block + 64);
    for (int64_t n = 0; n < positions; n++, x += x_step * 4, out += out_step) {
        acc16 acc = start;
        const char *w = block + 128;
        for (int64_t plane = 0; plane < planes; plane++) {
            const char *from = x + plane * s->plane_places * 4;
            for (int64_t shift = 0; shift < shifts; shift++, w += 64) {
                acc = dot(acc, x64_load(from + shift * s->shift_step * 4), w64_load(w));
            }
        }
        store_requantised(out, acc_value(acc), scale, range, s->flat ? places - first - n * out_step : places - first);
    }
}

static void stretch(const ounce_conv_params *p, const interleaving *s, const int8_t *in, int8_t *out, int64_t columns,
                    const char *packed, char *scratch) {
    const int64_t c = p->in_c, span = ((columns - 1) * p->stride_w + 1) * c + (s->shifts - 1) * s->shift_step;
    for (int64_t plane = 0; plane < s->planes; plane++) {
        const int8_t *taps[GROUP];
        for (int64_t i = 0; i < GROUP; i++) {
            taps[i] = in + ounce_min64(plane * GROUP + i, s->tap_count - 1) * s->tap_step;
        }
        interleave(taps, span, scratch + plane * s->plane_places * 4);
    }
    const ounce_range range = ounce_make_range(p->out_min, p->out_max, p->out_zero);
    const int64_t places = s->flat ? columns * c : c, planes = s->planes, shifts = s->shifts;
    const int64_t x_step = s->flat ? s->period : p->stride_w * c, out_step = s->flat ? s->period : c;
    for (int64_t block = 0; block < s->blocks; block++, packed += s->block_bytes) {
        const int64_t first = block * OUNCE_LANES;
        if (first >= places) break;
        const int64_t positions = s->flat ? (places - first - 1) / s->period + 1 : columns;
        const char *x = scratch + first * 4;
        int8_t *to = out + first;
        if (planes == 1 && shifts == 3) {
            block_run(s, packed, x, x_step, to, out_step, first, positions, places, range, 1, 3);
        } else if (planes == 2 && shifts == 3) {
            block_run(s, packed, x, x_step, to, out_step, first, positions, places, range, 2, 3);
        } else {
            block_run(s, packed, x, x_step, to, out_step, first, positions, places, range, planes, shifts);
        }
    }
}

void OUNCE_NAME(dwconv_s8)(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_conv_params *p = call->params;
    const interleaving s = make_interleaving(p, GROUP);
    for (int64_t unit = begin; unit < end; unit++) {
        const int64_t x = unit % s.stretches * s.columns, row = unit / s.stretches, y = row % p->out_h, image = row / p->out_h;
        const int8_t *in = (const int8_t *)call->in[0] + image * p->in_image + y * p->stride_h * p->in_row +
                           x * p->stride_w * p->in_pixel;
        int8_t *out = (int8_t *)call->out + image * p->out_image + y * p->out_row + x * p->out_pixel;
        stretch(p, &s, in, out, ounce_min64(s.columns, p->out_w - x), call->packed, call->scratch);
    }
}
