// Int8 depthwise convolution over interleaved input (interleave.h), 64 outputs at a time.
#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
#include "../conv/requantise_avx512.h"
#include "interleave.h"

#define GROUP 4

// Unpacking works inside each 128-bit lane, so the dwords of the four lanes are transposed before it. x + 128 is
// unsigned.
OUNCE_INLINE __m512i load_tap(const int8_t *from) {
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i shifted = _mm512_xor_si512(_mm512_loadu_si512(from), _mm512_set1_epi8(-128));
    return _mm512_permutexvar_epi32(order, shifted);
}
OUNCE_INLINE void interleave(const int8_t *const taps[GROUP], int64_t count, char *to) {
    for (int64_t i = 0; i < count; i += 64, to += 256) {
        const __m512i a = load_tap(taps[0] + i), b = load_tap(taps[1] + i);
        const __m512i c = load_tap(taps[2] + i), d = load_tap(taps[3] + i);
        const __m512i low_ab = _mm512_unpacklo_epi8(a, b), high_ab = _mm512_unpackhi_epi8(a, b);
        const __m512i low_cd = _mm512_unpacklo_epi8(c, d), high_cd = _mm512_unpackhi_epi8(c, d);
        _mm512_storeu_si512(to, _mm512_unpacklo_epi16(low_ab, low_cd));
        _mm512_storeu_si512(to + 64, _mm512_unpackhi_epi16(low_ab, low_cd));
        _mm512_storeu_si512(to + 128, _mm512_unpacklo_epi16(high_ab, high_cd));
        _mm512_storeu_si512(to + 192, _mm512_unpackhi_epi16(high_ab, high_cd));
    }
}

// A block's positions: 64 outputs at each.
typedef struct {
    const char *packed;
    const char *x[4];        // each sixteen's first place in plane 0
    int64_t x_step;          // bytes between positions
    int64_t planes, shifts;
    int64_t shift_step, plane_step;  // bytes between terms
    int8_t *out;
    int64_t out_step, lanes;  // lanes: outputs from `out` to the end of the row (flat) or of the pixel
    int64_t fewer;            // how many fewer there are at the next position
    ounce_range range;
} block_call;

OUNCE_INLINE void store_lanes(int8_t *out, __m512i q, int64_t lanes) {
    if (OUNCE_LIKELY(lanes >= 64)) {
        _mm512_storeu_si512(out, q);
    } else {
        _mm512_mask_storeu_epi8(out, ((__mmask64)1 << lanes) - 1, q);
    }
}

// Three terms, as of a kernel of three by three, stay in registers.
// With `second` it is the second of two rows: the first row's weights, one tap further on.
OUNCE_INLINE void run_block(block_call b, int64_t positions, const int three, const int second) {
    __m512 scale[4];
    __m512i kept[3][4], start[4];
    OUNCE_UNROLL for (int j = 0; j < 4; j++) {
        start[j] = _mm512_loadu_si512(b.packed + 64 * j);
        scale[j] = _mm512_loadu_ps(b.packed + 256 + 64 * j);
        OUNCE_UNROLL for (int i = 0; three && i < 3; i++) {
            kept[i][j] = _mm512_loadu_si512(b.packed + 512 + 256 * i + 64 * j);
            if (second) kept[i][j] = _mm512_slli_epi32(kept[i][j], 8);
        }
    }
    for (; positions > 0; positions--) {
        __m512i acc[4];
        OUNCE_UNROLL for (int j = 0; j < 4; j++) acc[j] = start[j];
        if (three) {
            OUNCE_UNROLL for (int i = 0; i < 3; i++) {
                OUNCE_UNROLL for (int j = 0; j < 4; j++) {
                    const __m512i x = _mm512_loadu_si512(b.x[j] + i * b.shift_step);
                    acc[j] = _mm512_dpbusd_epi32(acc[j], x, kept[i][j]);
                }
            }
        } else {
            const char *w = b.packed + 512;
            for (int64_t plane = 0; plane < b.planes; plane++) {
                for (int64_t shift = 0; shift < b.shifts; shift++, w += 256) {
                    const int64_t term = plane * b.plane_step + shift * b.shift_step;
                    OUNCE_UNROLL for (int j = 0; j < 4; j++) {
                        const __m512i x = _mm512_loadu_si512(b.x[j] + term);
                        acc[j] = _mm512_dpbusd_epi32(acc[j], x, _mm512_loadu_si512(w + 64 * j));
                    }
                }
            }
        }
        store_lanes(b.out, requantised(acc, scale, b.range), b.lanes);
        OUNCE_UNROLL for (int j = 0; j < 4; j++) b.x[j] += b.x_step;
        b.out += b.out_step;
        b.lanes -= b.fewer;
    }
}

// The blocks of one output row, its planes being in the scratch.
OUNCE_INLINE void run_row(const ounce_conv_params *p, const interleaving *s, int8_t *out, int64_t columns,
                          const char *packed, const char *scratch, const int second) {
    const int64_t c = p->in_c, places = s->flat ? columns * c : c, pixels = s->flat ? s->period / c : 1;
    block_call b = {.planes = s->planes, .shifts = s->shifts, .x_step = pixels * p->stride_w * c * 4,
                    .shift_step = s->shift_step * 4, .plane_step = s->plane_places * 4, .out_step = pixels * c,
                    .fewer = s->flat ? s->period : 0,
                    .range = ounce_make_range(p->out_min, p->out_max, p->out_zero)};
    for (int64_t first = 0; first < ounce_min64(s->period, places); first += 64, packed += s->block_bytes) {
        b.packed = packed;
        b.out = out + first;
        b.lanes = places - first;
        for (int64_t j = 0; j < 4; j++) {
            const int64_t place = first + OUNCE_LANES * j;
            const int64_t at = p->stride_w == 1 ? place : place / c * p->stride_w * c + place % c;
            b.x[j] = scratch + (s->flat ? at : place) * 4;
        }
        const int64_t positions = s->flat ? (places - first - 1) / s->period + 1 : columns;
        if (second || (s->planes == 1 && s->shifts == 3)) {
            run_block(b, positions, 1, second);
        } else {
            run_block(b, positions, 0, 0);
        }
    }
}

void ounce_dwconv_s8_avx512vnni(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_conv_params *p = call->params;
    const interleaving s = make_interleaving(p, GROUP, 64);
    const int64_t image_units = ounce_ceil_div(p->out_h, s.rows) * s.stretches;
    for (int64_t unit = begin; unit < end; unit++) {
        const int64_t image = unit / image_units, y = unit % image_units / s.stretches * s.rows;
        const int64_t x = unit % s.stretches * s.columns, columns = ounce_min64(s.columns, p->out_w - x);
        const int two = s.rows == 2 && y + 1 < p->out_h;
        const int8_t *in = (const int8_t *)call->in[0] + image * p->in_image + y * p->stride_h * p->in_row +
                           x * p->stride_w * p->in_pixel;
        int8_t *out = (int8_t *)call->out + image * p->out_image + y * p->out_row + x * p->out_pixel;
        const int64_t span = ((columns - 1) * p->stride_w + 1) * p->in_c + (s.shifts - 1) * s.shift_step;
        for (int64_t plane = 0; plane < s.planes; plane++) {
            const int8_t *taps[GROUP];
            for (int64_t i = 0; i < GROUP; i++) {
                taps[i] = in + ounce_min64(plane * GROUP + i, s.tap_count - 1 + two) * s.tap_step;
            }
            interleave(taps, span, (char *)call->scratch + plane * s.plane_places * 4);
        }
        run_row(p, &s, out, columns, call->packed, call->scratch, 0);
        if (two) run_row(p, &s, out + p->out_row, columns, call->packed, call->scratch, 1);
    }
}
TARGET_END
#endif
