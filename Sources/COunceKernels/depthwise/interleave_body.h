// Int8 depthwise convolution over interleaved input; compiled once for each instruction set. The including file defines
// GROUP, POSITIONS (2 or 4 at a time, as registers allow), acc16 with acc_load() and acc_value(), x64 with x64_load()
// (a place's group for each lane), w64 with w64_load(), dot(), and interleave(taps, count, to): writes [place][GROUP]
// for at least `count` places, in whole vectors of at most 64.
#include "interleave.h"

typedef struct {
    const interleaving *s;
    const char *packed;     // the block's
    const char *x;          // the first position's place in plane 0
    int64_t x_step;         // places between positions
    int8_t *out;
    int64_t out_step, lanes;  // lanes: elements from `out` to the end of the row (flat) or of the pixel
    ounce_range range;
} block_call;

// Sixteen outputs at each of `count` successive positions, which share the weights.
OUNCE_INLINE void block_positions(block_call *b, const int count, const int64_t planes, const int64_t shifts) {
    acc16 acc[POSITIONS];
    OUNCE_UNROLL for (int m = 0; m < count; m++) acc[m] = acc_load(b->packed);
    const char *w = b->packed + 128;
    for (int64_t plane = 0; plane < planes; plane++) {
        const char *x = b->x + plane * b->s->plane_places * 4;
        for (int64_t shift = 0; shift < shifts; shift++, w += 64, x += b->s->shift_step * 4) {
            const w64 weights = w64_load(w);
            OUNCE_UNROLL for (int m = 0; m < count; m++) {
                acc[m] = dot(acc[m], x64_load(x + m * b->x_step * 4), weights);
            }
        }
    }
    const v16f scale = LOAD(v16f, b->packed + 64);
    const int64_t fewer = b->s->flat ? b->out_step : 0;
    if (OUNCE_LIKELY(b->lanes - (count - 1) * fewer >= OUNCE_LANES)) {
        OUNCE_UNROLL for (int m = 0; m < count; m++) {
            store_requantised(b->out + m * b->out_step, acc_value(acc[m]), scale, b->range, OUNCE_LANES);
        }
    } else {
        OUNCE_UNROLL for (int m = 0; m < count; m++) {
            store_requantised(b->out + m * b->out_step, acc_value(acc[m]), scale, b->range, b->lanes - m * fewer);
        }
    }
    b->x += count * b->x_step * 4;
    b->out += count * b->out_step;
    b->lanes -= count * fewer;
}

OUNCE_INLINE void block_run(block_call *b, int64_t positions, const int64_t planes, const int64_t shifts) {
    for (; positions >= POSITIONS; positions -= POSITIONS) block_positions(b, POSITIONS, planes, shifts);
    if (POSITIONS > 2 && positions & 2) block_positions(b, 2, planes, shifts);
    if (positions & 1) block_positions(b, 1, planes, shifts);
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
        block_call b = {.s = s, .packed = packed, .x = scratch + first * 4, .x_step = x_step, .out = out + first,
                        .out_step = out_step, .lanes = places - first, .range = range};
        if (planes == 1 && shifts == 3) {
            block_run(&b, positions, 1, 3);
        } else if (planes == 2 && shifts == 3) {
            block_run(&b, positions, 2, 3);
        } else {
            block_run(&b, positions, planes, shifts);
        }
    }
}

void OUNCE_NAME(dwconv_s8)(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_conv_params *p = call->params;
    const interleaving s = make_interleaving(p, GROUP, OUNCE_LANES);
    for (int64_t unit = begin; unit < end; unit++) {
        const int64_t x = unit % s.stretches * s.columns, row = unit / s.stretches, y = row % p->out_h,
            image = row / p->out_h;
        const int8_t *in = (const int8_t *)call->in[0] + image * p->in_image + y * p->stride_h * p->in_row +
                           x * p->stride_w * p->in_pixel;
        int8_t *out = (int8_t *)call->out + image * p->out_image + y * p->out_row + x * p->out_pixel;
        stretch(p, &s, in, out, ounce_min64(s.columns, p->out_w - x), call->packed, call->scratch);
    }
}
