// Int8 depthwise convolution by dot products over interleaved input (interleave.h).
#if defined(__aarch64__)
#include "../target.h"

TARGET("dotprod")
#include "../requantise_neon.h"
#include "interleave.h"

#define GROUP 4

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
    int64_t x_step, x_row;  // bytes between positions, and between output rows
    int64_t planes, plane_step, shifts, shift_step;
    int8_t *out;
    int64_t out_step, out_row;
    int64_t rows, positions, lanes, fewer;  // lanes: outputs of a row's first position, and how many fewer each has
    neon_range range;
} block_call;

#define QUARTERS(n) OUNCE_UNROLL for (int n = 0; n < 4; n++)

OUNCE_INLINE void add_term(neon_sums *s, const int8_t *x, const int8x16_t *w) {
    QUARTERS(i) s->quarter[i] = vdotq_s32(s->quarter[i], w[i], vld1q_s8(x + 16 * i));
}

// Sixteen outputs at x. With `terms`, that many weights stand in w, for one plane.
OUNCE_INLINE neon_sums position(const block_call *b, const int8_t *x, const int terms, const int8x16_t w[][4]) {
    neon_sums s = LOAD(neon_sums, b->packed);
    if (terms) {
        OUNCE_UNROLL for (int shift = 0; shift < terms; shift++) add_term(&s, x + shift * b->shift_step, w[shift]);
        return s;
    }
    const int8_t *from = b->packed + 128;
    for (int64_t plane = 0; plane < b->planes; plane++) {
        for (int64_t shift = 0; shift < b->shifts; shift++, from += 64) {
            int8x16_t one[4];
            QUARTERS(i) one[i] = vld1q_s8(from + 16 * i);
            add_term(&s, x + plane * b->plane_step + shift * b->shift_step, one);
        }
    }
    return s;
}

OUNCE_INLINE void block_run(const block_call *call, const int terms) {
    const block_call b = *call;
    float32x4_t scale[4];
    QUARTERS(i) scale[i] = vld1q_f32((const float *)b.packed + OUNCE_LANES + 4 * i);
    int8x16_t w[3][4];
    OUNCE_UNROLL for (int term = 0; term < terms; term++) {
        QUARTERS(i) w[term][i] = vld1q_s8(b.packed + 128 + 64 * term + 16 * i);
    }
    for (int64_t row = 0; row < b.rows; row++) {
        const int8_t *x = b.x + row * b.x_row;
        int8_t *out = b.out + row * b.out_row;
        int64_t lanes = b.lanes;
        for (int64_t left = b.positions; left > 0; left--) {
            const int8x16_t q = requantised(position(&b, x, terms, w), scale, b.range);
            if (OUNCE_LIKELY(lanes >= OUNCE_LANES)) {
                vst1q_s8(out, q);
            } else {
                const int8x16_t some = q;
                neon_store_some(out, &some, lanes);
            }
            lanes -= b.fewer;
            x += b.x_step;
            out += b.out_step;
        }
    }
}
static __attribute__((noinline)) void block_run_3(const block_call *b) { block_run(b, 3); }
static __attribute__((noinline)) void block_run_any(const block_call *b) { block_run(b, 0); }

// A unit is some rows of an image where they are short, else a stretch of a row.
#define SCRATCH 16384
OUNCE_INLINE int64_t rows_at_once(const ounce_conv_params *p, const interleaving *s) {
    if (s->stretches > 1) return 1;
    const int64_t cached = SCRATCH / (s->planes * s->plane_places * 4);
    return ounce_max64(1, ounce_min64(cached, p->out_h / 8));
}

int64_t ounce_dwconv_s8_rows_units(const void *params) {
    const ounce_conv_params *p = params;
    const interleaving s = make_interleaving(p, GROUP, OUNCE_LANES);
    return p->batch * ounce_ceil_div(p->out_h, rows_at_once(p, &s)) * s.stretches;
}

size_t ounce_dwconv_s8_rows_scratch(const void *params) {
    const ounce_conv_params *p = params;
    const interleaving s = make_interleaving(p, GROUP, OUNCE_LANES);
    return (size_t)(rows_at_once(p, &s) * s.planes * s.plane_places) * 4;
}

// `rows` output rows of `columns` pixels.
static void run_rows(const ounce_conv_params *p, const interleaving *s, const int8_t *in, int8_t *out, int64_t rows,
                     int64_t columns, const ounce_call *call, neon_range range) {
    const int64_t c = p->in_c, span = ((columns - 1) * p->stride_w + 1) * c + (s->shifts - 1) * s->shift_step;
    int8_t *to = call->scratch;
    for (int64_t row = 0; row < rows; row++, in += p->stride_h * p->in_row) {
        for (int64_t plane = 0; plane < s->planes; plane++, to += s->plane_places * 4) {
            const int8_t *taps[GROUP];
            for (int64_t i = 0; i < GROUP; i++) {
                taps[i] = in + ounce_min64(plane * GROUP + i, s->tap_count - 1) * s->tap_step;
            }
            interleave(taps[0], taps[1], taps[2], taps[3], span, to);
        }
    }
    const int64_t places = s->flat ? columns * c : c;
    block_call b = {.packed = call->packed, .x_step = (s->flat ? s->period : p->stride_w * c) * 4,
                    .x_row = s->planes * s->plane_places * 4, .planes = s->planes, .plane_step = s->plane_places * 4,
                    .shifts = s->shifts, .shift_step = s->shift_step * 4, .out_step = s->flat ? s->period : c,
                    .out_row = p->out_row, .rows = rows, .positions = columns, .fewer = s->flat ? s->period : 0,
                    .range = range};
    for (int64_t first = 0; first < ounce_min64(s->period, places); first += OUNCE_LANES) {
        if (s->flat) b.positions = (places - first - 1) / s->period + 1;
        b.x = (const int8_t *)call->scratch + first * 4;
        b.out = out + first;
        b.lanes = places - first;
        if (s->planes == 1 && s->shifts == 3) {
            block_run_3(&b);
        } else {
            block_run_any(&b);
        }
        b.packed += s->block_bytes;
    }
}

void ounce_dwconv_s8_neondot(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_conv_params *p = call->params;
    const interleaving s = make_interleaving(p, GROUP, OUNCE_LANES);
    const neon_range range = make_neon_range(p->out_min, p->out_max, p->out_zero);
    const int64_t at_once = rows_at_once(p, &s), pieces = ounce_ceil_div(p->out_h, at_once);
    for (int64_t unit = begin; unit < end; unit++) {
        const int64_t x = unit % s.stretches * s.columns, piece = unit / s.stretches, y = piece % pieces * at_once,
            image = piece / pieces;
        const int8_t *in = (const int8_t *)call->in[0] + image * p->in_image + y * p->stride_h * p->in_row +
                           x * p->stride_w * p->in_pixel;
        int8_t *out = (int8_t *)call->out + image * p->out_image + y * p->out_row + x * p->out_pixel;
        run_rows(p, &s, in, out, ounce_min64(at_once, p->out_h - y), ounce_min64(s.columns, p->out_w - x), call, range);
    }
}
TARGET_END
#endif
