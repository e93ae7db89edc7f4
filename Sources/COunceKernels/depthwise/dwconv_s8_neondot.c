// Int8 depthwise convolution by dot products over interleaved input (interleave.h).
#if defined(__aarch64__)
#include "../target.h"

TARGET("dotprod")
#include "../requantise_neon.h"
#include "interleave.h"

#define GROUP 4
#define POSITIONS 2

// Interleaves whole runs of 64 places.
static void interleave(const int8_t *a, const int8_t *b, const int8_t *c, const int8_t *d, int64_t count, int8_t *to) {
    for (; count > 0; count -= 64, a += 64, b += 64, c += 64, d += 64, to += 256) {
        OUNCE_UNROLL for (int i = 0; i < 64; i += 16) {
            const int8x16x4_t v = {{vld1q_s8(a + i), vld1q_s8(b + i), vld1q_s8(c + i), vld1q_s8(d + i)}};
            vst4q_s8(to + 4 * i, v);
        }
    }
}

typedef struct {
    const int8_t *packed;  // sixteen start values, sixteen scales, then the weights of each term
    const int8_t *x;       // the first position's place in plane 0
    int64_t x_step;        // bytes between positions
    int64_t planes, plane_step, shifts, shift_step;
    int8_t *out;
    int64_t positions, out_step, lanes, fewer;  // lanes: outputs of the first position, and how many fewer each has
    neon_range range;
} block_call;

#define QUARTERS(n) OUNCE_UNROLL for (int n = 0; n < 4; n++)

OUNCE_INLINE void add_term(neon_sums *s, const int8_t *x, const int8x16_t *w) {
    QUARTERS(i) s->quarter[i] = vdotq_s32(s->quarter[i], w[i], vld1q_s8(x + 16 * i));
}

// The outputs of `count` successive positions. With `terms`, that many weights stand in w, for one plane.
OUNCE_INLINE void positions(block_call *b, const int count, const int terms, const int8x16_t w[][4],
                            const float32x4_t *scale) {
    neon_sums s[POSITIONS];
    OUNCE_UNROLL for (int m = 0; m < count; m++) s[m] = LOAD(neon_sums, b->packed);
    if (terms) {
        OUNCE_UNROLL for (int shift = 0; shift < terms; shift++) {
            OUNCE_UNROLL for (int m = 0; m < count; m++) {
                add_term(&s[m], b->x + m * b->x_step + shift * b->shift_step, w[shift]);
            }
        }
    } else {
        const int8_t *from = b->packed + 128;
        for (int64_t plane = 0; plane < b->planes; plane++) {
            for (int64_t shift = 0; shift < b->shifts; shift++, from += 64) {
                int8x16_t one[4];
                QUARTERS(i) one[i] = vld1q_s8(from + 16 * i);
                OUNCE_UNROLL for (int m = 0; m < count; m++) {
                    add_term(&s[m], b->x + m * b->x_step + plane * b->plane_step + shift * b->shift_step, one);
                }
            }
        }
    }
    OUNCE_UNROLL for (int m = 0; m < count; m++) {
        const int8x16_t q = requantised(s[m], scale, b->range);
        if (OUNCE_LIKELY(b->lanes >= OUNCE_LANES)) {
            vst1q_s8(b->out, q);
        } else {
            const int8x16_t some = q;
            neon_store_some(b->out, &some, b->lanes);
        }
        b->lanes -= b->fewer;
        b->out += b->out_step;
    }
    b->x += count * b->x_step;
}

OUNCE_INLINE void block_run(const block_call *call, const int terms) {
    block_call b = *call;
    float32x4_t scale[4];
    QUARTERS(i) scale[i] = vld1q_f32((const float *)b.packed + OUNCE_LANES + 4 * i);
    int8x16_t w[3][4];
    OUNCE_UNROLL for (int term = 0; term < terms; term++) {
        QUARTERS(i) w[term][i] = vld1q_s8(b.packed + 128 + 64 * term + 16 * i);
    }
    for (; b.positions >= POSITIONS; b.positions -= POSITIONS) positions(&b, POSITIONS, terms, w, scale);
    if (b.positions) positions(&b, 1, terms, w, scale);
}
static __attribute__((noinline)) void block_run_3(const block_call *b) { block_run(b, 3); }
static __attribute__((noinline)) void block_run_any(const block_call *b) { block_run(b, 0); }

static void stretch(const ounce_conv_params *p, const interleaving *s, const int8_t *in, int8_t *out, int64_t columns,
                    const int8_t *packed, int8_t *scratch, neon_range range) {
    const int64_t c = p->in_c, span = ((columns - 1) * p->stride_w + 1) * c + (s->shifts - 1) * s->shift_step;
    for (int64_t plane = 0; plane < s->planes; plane++) {
        const int8_t *taps[GROUP];
        for (int64_t i = 0; i < GROUP; i++) {
            taps[i] = in + ounce_min64(plane * GROUP + i, s->tap_count - 1) * s->tap_step;
        }
        interleave(taps[0], taps[1], taps[2], taps[3], span, scratch + plane * s->plane_places * 4);
    }
    const int64_t places = s->flat ? columns * c : c;
    block_call b = {.x_step = (s->flat ? s->period : p->stride_w * c) * 4, .planes = s->planes, .shifts = s->shifts,
                    .plane_step = s->plane_places * 4, .shift_step = s->shift_step * 4, .range = range,
                    .out_step = s->flat ? s->period : c, .fewer = s->flat ? s->period : 0};
    for (int64_t first = 0; first < ounce_min64(s->period, places); first += OUNCE_LANES, packed += s->block_bytes) {
        b.positions = s->flat ? (places - first - 1) / s->period + 1 : columns;
        b.packed = packed;
        b.x = scratch + first * 4;
        b.out = out + first;
        b.lanes = places - first;
        if (s->planes == 1 && s->shifts == 3) {
            block_run_3(&b);
        } else {
            block_run_any(&b);
        }
    }
}

void ounce_dwconv_s8_neondot(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_conv_params *p = call->params;
    const interleaving s = make_interleaving(p, GROUP, OUNCE_LANES);
    const neon_range range = make_neon_range(p->out_min, p->out_max, p->out_zero);
    for (int64_t unit = begin; unit < end; unit++) {
        const int64_t x = unit % s.stretches * s.columns, row = unit / s.stretches, y = row % p->out_h,
            image = row / p->out_h;
        const int8_t *in = (const int8_t *)call->in[0] + image * p->in_image + y * p->stride_h * p->in_row +
                           x * p->stride_w * p->in_pixel;
        int8_t *out = (int8_t *)call->out + image * p->out_image + y * p->out_row + x * p->out_pixel;
        stretch(p, &s, in, out, ounce_min64(s.columns, p->out_w - x), call->packed, call->scratch, range);
    }
}
TARGET_END
#endif
