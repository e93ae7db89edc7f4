// Int8 depthwise convolution over interleaved input; compiled once for each instruction set. The including file defines
// GROUP, POSITIONS (2 or 4 at a time), acc16 with acc_load(), x64 with x64_load() (a place's group for each lane), w64 with
// w64_load(), dot(), and interleave(taps, count, to): writes [place][GROUP] for at least `count` places, in whole vectors of
// at most 64.
#include "../conv/requantise_avx2.h"
#include "interleave.h"

#define TAPS_3 ((3 + GROUP - 1) / GROUP)  // planes of three taps

typedef struct {
    const interleaving *s;
    const char *packed;     // the block's
    const char *x;          // the first position's place in plane 0
    int64_t x_step;         // places between positions
    int8_t *out;
    int64_t out_step, lanes;  // lanes: elements from `out` to the end of the row (flat) or of the pixel
    ounce_range range;
} block_call;

static __attribute__((noinline)) void store_lanes(int8_t *out, __m128i q, int64_t lanes) {
    if (lanes >= OUNCE_LANES) _mm_storeu_si128((__m128i *)out, q);
    else store_some(out, &q, 1, lanes);
}

// Sixteen outputs at each of `count` successive positions, which share the weights.
OUNCE_INLINE void block_positions(block_call *b, const int count, const int64_t planes, const int64_t shifts,
                                  const int second) {
    const block_call c = *b;  // stores could change what is behind the pointer, to the compiler
    acc16 acc[POSITIONS];
    OUNCE_UNROLL for (int m = 0; m < count; m++) acc[m] = acc_load(c.packed);
    const char *w = c.packed + 128 + (second ? planes * shifts * 64 : 0);
    const int64_t plane_step = c.s->plane_places * 4, shift_step = c.s->shift_step * 4, fewer = c.s->flat ? c.out_step : 0;
    for (int64_t plane = 0; plane < planes; plane++) {
        const char *x = c.x + plane * plane_step;
        for (int64_t shift = 0; shift < shifts; shift++, w += 64, x += shift_step) {
            const w64 weights = w64_load(w);
            OUNCE_UNROLL for (int m = 0; m < count; m++) {
                acc[m] = dot(acc[m], x64_load(x + m * c.x_step * 4), weights);
            }
        }
    }
    const __m256 scale[2] = {LOAD(__m256, c.packed + 64), LOAD(__m256, c.packed + 96)};
    const __m256 scales[4] = {scale[0], scale[1], scale[0], scale[1]};
    __m128i q[POSITIONS + 1];
    OUNCE_UNROLL for (int m = 0; m < count; m += 2) {
        const int other = m + 1 < count ? m + 1 : m;
        const __m256i sums[4] = {acc[m].half[0], acc[m].half[1], acc[other].half[0], acc[other].half[1]};
        const __m256i both = requantised(sums, scales, c.range);
        q[m] = _mm256_castsi256_si128(both);
        q[m + 1] = _mm256_extracti128_si256(both, 1);
    }
    if (OUNCE_LIKELY(c.lanes - (count - 1) * fewer >= OUNCE_LANES)) {
        OUNCE_UNROLL for (int m = 0; m < count; m++) _mm_storeu_si128((__m128i *)(c.out + m * c.out_step), q[m]);
    } else {
        OUNCE_UNROLL for (int m = 0; m < count; m++) store_lanes(c.out + m * c.out_step, q[m], c.lanes - m * fewer);
    }
    b->x = c.x + count * c.x_step * 4;
    b->out = c.out + count * c.out_step;
    b->lanes = c.lanes - count * fewer;
}

OUNCE_INLINE void block_run(block_call *b, int64_t positions, const int64_t planes, const int64_t shifts,
                            const int second) {
    for (; positions >= POSITIONS; positions -= POSITIONS) block_positions(b, POSITIONS, planes, shifts, second);
    if (POSITIONS > 2 && positions & 2) block_positions(b, 2, planes, shifts, second);
    if (positions & 1) block_positions(b, 1, planes, shifts, second);
}

// The blocks of one output row, its planes being in the scratch.
OUNCE_INLINE void run_row(const ounce_conv_params *p, const interleaving *s, int8_t *out, int64_t columns,
                          const char *packed, const char *scratch, const int second) {
    const ounce_range range = ounce_make_range(p->out_min, p->out_max, p->out_zero);
    const int64_t c = p->in_c, places = s->flat ? columns * c : c, planes = s->planes, shifts = s->shifts;
    const int64_t x_step = s->flat ? s->period : p->stride_w * c, out_step = s->flat ? s->period : c;
    for (int64_t block = 0; block < s->blocks; block++, packed += s->block_bytes) {
        const int64_t first = block * OUNCE_LANES;
        if (first >= places) break;
        const int64_t positions = s->flat ? (places - first - 1) / s->period + 1 : columns;
        block_call b = {.s = s, .packed = packed, .x = scratch + first * 4, .x_step = x_step, .out = out + first,
                        .out_step = out_step, .lanes = places - first, .range = range};
        if (second || (planes == TAPS_3 && shifts == 3)) {
            block_run(&b, positions, TAPS_3, 3, second);
        } else {
            block_run(&b, positions, planes, shifts, 0);
        }
    }
}

static void stretch(const ounce_conv_params *p, const interleaving *s, const int8_t *in, int8_t *out, int64_t columns,
                    int two, const char *packed, char *scratch) {
    const int64_t span = ((columns - 1) * p->stride_w + 1) * p->in_c + (s->shifts - 1) * s->shift_step;
    for (int64_t plane = 0; plane < s->planes; plane++) {
        const int8_t *taps[GROUP];
        for (int64_t i = 0; i < GROUP; i++) {
            taps[i] = in + ounce_min64(plane * GROUP + i, s->tap_count - 1 + two) * s->tap_step;
        }
        interleave(taps, span, scratch + plane * s->plane_places * 4);
    }
    run_row(p, s, out, columns, packed, scratch, 0);
    if (two) run_row(p, s, out + p->out_row, columns, packed, scratch, 1);
}

void OUNCE_NAME(dwconv_s8)(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_conv_params *p = call->params;
    const interleaving s = make_interleaving(p, GROUP, OUNCE_LANES);
    const int64_t image_units = ounce_ceil_div(p->out_h, s.rows) * s.stretches;
    for (int64_t unit = begin; unit < end; unit++) {
        const int64_t image = unit / image_units, y = unit % image_units / s.stretches * s.rows;
        const int64_t x = unit % s.stretches * s.columns;
        const int8_t *in = (const int8_t *)call->in[0] + image * p->in_image + y * p->stride_h * p->in_row +
                           x * p->stride_w * p->in_pixel;
        int8_t *out = (int8_t *)call->out + image * p->out_image + y * p->out_row + x * p->out_pixel;
        const int two = s.rows == 2 && y + 1 < p->out_h;
        stretch(p, &s, in, out, ounce_min64(s.columns, p->out_w - x), two, call->packed, call->scratch);
    }
}
