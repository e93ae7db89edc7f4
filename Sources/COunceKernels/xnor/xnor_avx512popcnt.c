#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vpopcntdq,popcnt")
#define ADD_S8_AVX512
#include "../conv/requantise_avx512.h"
#include "bits.h"
#include "words_walk.h"

// The second plane of bits tells which inputs are 0: the opposite of a mask.

// Makes the bits of `count` inputs: which are negative, which are 0; returns whether one is 0. Writes eight bytes at a
// time: what comes behind is made later, or room.
OUNCE_INLINE int make_bits(const int8_t *in, int64_t count, uint8_t *signs, uint8_t *zeros) {
    uint64_t some = 0;
    for (; count > 0; count -= 64, in += 64, signs += 8, zeros += 8) {
        __m512i x;
        uint64_t inside = ~0ull;
        if (OUNCE_LIKELY(count >= 64)) {
            x = _mm512_loadu_si512(in);
        } else {
            inside >>= 64 - count;
            x = _mm512_maskz_loadu_epi8(inside, in);
        }
        const uint64_t s = _mm512_movepi8_mask(x), z = inside & _mm512_testn_epi8_mask(x, x);
        memcpy(signs, &s, 8), memcpy(zeros, &z, 8);
        some |= z;
    }
    return some != 0;
}

// Makes the rows of an image's bits from `row` up to `end`.
static void make_rows(const ounce_call *call, xnor_image *bits, int64_t image, int64_t row, int64_t end) {
    const ounce_conv_params *p = call->params;
    const int whole = p->in_pixel == p->in_c && p->in_c % 8 == 0;
    const int64_t pixels = whole ? 1 : bits->width, count = whole ? bits->width * p->in_c : p->in_c;
    const int64_t plane = xnor_plane_bytes(bits);
    for (; row < end; row++) {
        const int8_t *in = (const int8_t *)call->in[0] + image * p->in_image + row * p->in_row;
        uint8_t *to = (uint8_t *)call->scratch + image * bits->p.in_image + row * bits->p.in_row;
        for (int64_t x = 0; x < pixels; x++, in += p->in_pixel, to += bits->p.in_pixel) {
            bits->p.in_ternary |= make_bits(in, count, to, to + plane);
        }
    }
}

// A block's panels for neighbouring output pixels, `step` and `out_step` elements apart.
typedef struct {
    const conv_walk *walk;
    const ounce_conv_params *p;  // of the image
    const char *panel;
    int64_t channels;  // to store
    int64_t step, out_step;
} run_call;

// Whether one of the inputs is 0 from the first that a pixel reads to the last that the one `further` elements on does.
OUNCE_INLINE int some_zero(const uint8_t *zeros, int64_t further, const conv_walk *w, const int one_segment) {
    const int64_t bytes = further + (one_segment ? 0 : (w->columns - 1) * w->column_step) + w->length;
    __m512i some = _mm512_setzero_si512();
    for (int64_t row = 0; row < (one_segment ? 1 : w->rows); row++, zeros += w->row_step) {
        int64_t k = 0;
        for (; k < bytes - 64; k += 64) some = _mm512_or_si512(some, _mm512_loadu_si512(zeros + k));
        some = _mm512_or_si512(some, _mm512_maskz_loadu_epi8(~0ull >> (64 - (bytes - k)), zeros + k));
    }
    return _mm512_test_epi8_mask(some, some) != 0;
}

// How many of the inputs that each pixel reads are 0.
OUNCE_INLINE void count_zeros(int64_t *count, const uint8_t *const *x, int64_t plane, const conv_walk *w,
                              const int pixels) {
    OUNCE_UNROLL for (int m = 0; m < pixels; m++) count[m] = 0;
    for (int64_t row = 0; row < w->rows; row++) {
        for (int64_t column = 0; column < w->columns; column++) {
            const int64_t from = plane + row * w->row_step + column * w->column_step;
            _Pragma("clang loop vectorize(disable) unroll(disable)")
            for (int64_t k = 0; k < w->length; k += 8) {
                const uint64_t inside = w->length - k >= 8 ? ~0ull : (1ull << 8 * (w->length - k)) - 1;
                OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
                    int64_t zeros = __builtin_popcountll(LOAD(uint64_t, x[m] + from + k) & inside);
                    __asm__("" : "+r"(zeros));  // not in vectors
                    count[m] += zeros;
                }
            }
        }
    }
}

// Takes twice the differing bits of a word off the sums; `outside` are the bits behind the segment in its last.
OUNCE_INLINE void take_word(__m512i acc[][8], const uint8_t *const *x, int64_t k, int64_t plane, const char *weights,
                            const size_t *panel, __m512i outside, const int pixels, const int panels, const int masked,
                            const int last) {
    const __m512i less_two = _mm512_set1_epi8(-2);
    __m512i wide[8];
    OUNCE_UNROLL for (int n = 0; n < panels; n++) wide[n] = _mm512_loadu_si512(weights + panel[n]);
    OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
        const __m512i signs = _mm512_set1_epi32(LOAD(int32_t, x[m] + k));
        __m512i without = outside;
        if (masked) without = _mm512_set1_epi32(LOAD(int32_t, x[m] + k + plane));
        OUNCE_UNROLL for (int n = 0; n < panels; n++) {
            __m512i differing = masked || last ? _mm512_ternarylogic_epi32(wide[n], signs, without, 0x14)  // & ~
                                               : _mm512_xor_si512(wide[n], signs);
            if (masked && last) differing = _mm512_andnot_si512(outside, differing);
            acc[m][n] = _mm512_dpbusd_epi32(acc[m][n], _mm512_popcnt_epi32(differing), less_two);
        }
    }
}

OUNCE_INLINE void sum_group(__m512i acc[][8], const conv_walk *w, const uint8_t *const *x, int64_t plane,
                            const char *weights, const size_t *panel, const int pixels, const int panels,
                            const int masked) {
    const int64_t last = w->length % 4;
    const __m512i outside = _mm512_set1_epi32((int32_t)(~0u << 8 * last));
    for (int64_t row = 0; row < w->rows; row++) {
        for (int64_t column = 0; column < w->columns; column++) {
            int64_t k = row * w->row_step + column * w->column_step;
            const int64_t end = k + w->length - last;
            __asm__("" : "+r"(k));  // one index for all pixels, not a pointer for each
            for (; k < end; k += 4, weights += 64) {
                take_word(acc, x, k, plane, weights, panel, outside, pixels, panels, masked, 0);
            }
            if (!last) continue;
            take_word(acc, x, k, plane, weights, panel, outside, pixels, panels, masked, 1);
            weights += 64;
        }
    }
}

// Where inputs are 0: the sums from `start` on.
OUNCE_INLINE void sum_masked(const run_call *r, const uint8_t *const *x, const size_t *panel, const __m512i *start,
                             __m512i *sums, const int pixels, const int panels) {
    const conv_walk w = *r->walk;
    const int64_t plane = xnor_plane(r->p);
    int64_t count[8];
    count_zeros(count, x, plane, &w, pixels);
    __m512i acc[8][8];
    OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
        OUNCE_UNROLL for (int n = 0; n < panels; n++) acc[m][n] = start[n];
    }
    sum_group(acc, &w, x, plane, r->panel + S8_HEADER, panel, pixels, panels, 1);
    OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
        const __m512i zeros = _mm512_set1_epi32((int32_t)count[m]);
        OUNCE_UNROLL for (int n = 0; n < panels; n++) sums[m * panels + n] = _mm512_sub_epi32(acc[m][n], zeros);
    }
}
#define SUM_MASKED(pixels, panels)                                                                              \
    static __attribute__((noinline)) void sum_masked_##pixels##_##panels(                                       \
        const run_call *r, const uint8_t *const *x, const size_t *panel, const __m512i *start, __m512i *sums) { \
        sum_masked(r, x, panel, start, sums, pixels, panels);                                                   \
    }
SUM_MASKED(8, 1)
SUM_MASKED(4, 2)
SUM_MASKED(1, 4)
SUM_MASKED(1, 8)

// Pixels and panels past the last ones repeat it. With `words`, a pixel reads one segment of so many whole words.
OUNCE_INLINE void run(const run_call *r, const uint8_t *x, int8_t *out, int64_t count, const int pixels,
                      const int panels, const int words) {
    const conv_walk w = *r->walk;
    const int64_t plane = xnor_plane(r->p), step = r->step, out_step = r->out_step, channels = r->channels;
    const int ternary = r->p->in_ternary;
    const ounce_range range = ounce_make_range(r->p->out_min, r->p->out_max, r->p->out_zero);
    const int block = panels < 4 ? panels : 4, together = 4 / block;
    const char *weights = r->panel + S8_HEADER;
    size_t panel[8];
    __m512i start[8], wide[8][2];
    __m512 scale[8];
    OUNCE_UNROLL for (int n = 0; n < panels; n++) {
        panel[n] = (size_t)(pixels > 1 ? n : ounce_min64(n, (channels - 1) / OUNCE_LANES)) * w.panel_bytes;
        start[n] = _mm512_add_epi32(_mm512_loadu_si512(r->panel + panel[n]), _mm512_set1_epi32(r->p->in_zero));
        scale[n] = _mm512_loadu_ps(r->panel + panel[n] + 64);
        OUNCE_UNROLL for (int i = 0; i < words; i++) wide[i][n] = _mm512_loadu_si512(weights + panel[n] + 64 * i);
    }
    for (; count > 0; count -= pixels, x += pixels * step, out += pixels * out_step) {
        const uint8_t *from[8];
        int8_t *to[8];
        OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
            const int64_t pixel = m < count ? m : count - 1;
            from[m] = x + pixel * step, to[m] = out + pixel * out_step;
        }
        __m512i acc[8][8];
        if (ternary && some_zero(x + plane, from[pixels - 1] - x, &w, words > 0)) {
            const uint8_t *copies[8];
            __m512i starts[8], sums[8];
            size_t offsets[8];
            OUNCE_UNROLL for (int m = 0; m < pixels; m++) copies[m] = from[m];
            OUNCE_UNROLL for (int n = 0; n < panels; n++) starts[n] = start[n], offsets[n] = panel[n];
            if (pixels == 8) sum_masked_8_1(r, copies, offsets, starts, sums);
            else if (pixels == 4) sum_masked_4_2(r, copies, offsets, starts, sums);
            else if (panels == 4) sum_masked_1_4(r, copies, offsets, starts, sums);
            else sum_masked_1_8(r, copies, offsets, starts, sums);
            OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
                OUNCE_UNROLL for (int n = 0; n < panels; n++) acc[m][n] = sums[m * panels + n];
            }
        } else {
            OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
                OUNCE_UNROLL for (int n = 0; n < panels; n++) acc[m][n] = start[n];
            }
            OUNCE_UNROLL for (int i = 0; i < words; i++) {
                OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
                    const __m512i signs = _mm512_set1_epi32(LOAD(int32_t, from[m] + 4 * i));
                    OUNCE_UNROLL for (int n = 0; n < panels; n++) {
                        const __m512i differing = _mm512_popcnt_epi32(_mm512_xor_si512(wide[i][n], signs));
                        acc[m][n] = _mm512_dpbusd_epi32(acc[m][n], differing, _mm512_set1_epi8(-2));
                    }
                }
            }
            if (!words) sum_group(acc, &w, from, plane, weights, panel, pixels, panels, 0);
        }
        OUNCE_UNROLL for (int first = 0; first < panels; first += block) {
            OUNCE_UNROLL for (int m = 0; m < pixels; m += together) {
                __m512i sum[4];
                __m512 scales[4];
                OUNCE_UNROLL for (int i = 0; i < 4; i++) {
                    sum[i] = acc[m + i / block < pixels ? m + i / block : m][first + i % block];
                    scales[i] = scale[first + i % block];
                }
                const __m512i q = requantised(sum, scales, range);
                if (block == 4) store_single(to[m] + first * OUNCE_LANES, q, channels - first * OUNCE_LANES);
                else store_group(to + m, 0, q, panels, channels);
            }
        }
    }
}
#define RUN(pixels, panels, words)                                                              \
    static __attribute__((noinline)) void run_##pixels##_##panels##_##words(                    \
        const run_call *r, const uint8_t *x, int8_t *out, int64_t count) {                      \
        run(r, x, out, count, pixels, panels, words);                                           \
    }
RUN(8, 1, 0)
RUN(4, 2, 0)
RUN(4, 2, 1)
RUN(4, 2, 2)
RUN(4, 2, 3)
RUN(4, 2, 4)
RUN(4, 2, 6)
RUN(1, 4, 0)
RUN(1, 8, 0)

typedef void (*run_function)(const run_call *r, const uint8_t *x, int8_t *out, int64_t count);
static run_function run_for(const conv_walk *w, int64_t channels) {
    if (w->pixels == 1) return channels > 4 * OUNCE_LANES ? run_1_8_0 : run_1_4_0;
    if (channels <= OUNCE_LANES) return run_8_1_0;
    if (w->rows * w->columns > 1) return run_4_2_0;
    switch (w->length) {
        case 4: return run_4_2_1;
        case 8: return run_4_2_2;
        case 12: return run_4_2_3;
        case 16: return run_4_2_4;
        case 24: return run_4_2_6;
        default: return run_4_2_0;
    }
}

// The panels of `block` for a run of pixels.
static void run_block(run_call *r, const char *packed, int64_t block, const uint8_t *x, int8_t *out, int64_t count) {
    const int64_t channel = block * r->walk->block * OUNCE_LANES;
    r->panel = packed + (size_t)(block * r->walk->block) * r->walk->panel_bytes;
    r->channels = r->p->out_c - channel;
    run_for(r->walk, r->channels)(r, x, out + channel, count);
}

static void add_residual(const ounce_conv_params *p, int8_t *out, intptr_t offset, int64_t count, int64_t channels) {
    if (p->out_pixel == channels) count *= channels, channels = count, count = 1;
    for (; count > 0; count--, out += p->out_pixel) residual_s8(p, out, offset, channels);
}

void ounce_conv_s8_avx512popcnt_xnor(const ounce_call *call, int64_t begin, int64_t end) {
    if (begin >= end) return;
    const ounce_conv_params *p = call->params;
    xnor_image image = make_xnor_image(p, xnor_bit_elements(p));
    const conv_walk w = xnor_words_walk(&image.p);
    const int64_t below = (int64_t)(p->kernel_h - 1) * p->dilation_h + 1;
    run_call r = {.walk = &w, .p = &image.p, .step = p->stride_w * image.p.in_pixel, .out_step = p->out_pixel};
    int64_t tile = begin / w.blocks, first = begin % w.blocks, made = 0;
    for (int64_t unit = begin; unit < end; tile++, first = 0) {
        const int64_t last = ounce_min64(w.blocks, first + end - unit), pixels = walk_pixel(&w, tile + 1);
        unit += last - first;
        for (int64_t pixel = walk_pixel(&w, tile), count; pixel < pixels; pixel += count) {  // runs within a row
            const int64_t row = pixel / p->out_w, column = pixel % p->out_w, b = row / p->out_h, y = row % p->out_h;
            count = ounce_min64(pixels - pixel, p->out_w - column);
            const int64_t top = b * image.height + y * p->stride_h;
            made = ounce_max64(made, top);
            if (made < top + below) {
                make_rows(call, &image, b, made - b * image.height, top - b * image.height + below);
                made = top + below;
            }
            const uint8_t *x = (const uint8_t *)call->scratch + b * image.p.in_image +
                               y * p->stride_h * image.p.in_row + column * r.step;
            int8_t *out = (int8_t *)call->out + b * p->out_image + y * p->out_row + column * p->out_pixel;
            for (int64_t block = first; block < last; block++) run_block(&r, call->packed, block, x, out, count);
            if (!p->has_residual) continue;
            const int64_t channel = first * w.block * OUNCE_LANES;
            add_residual(p, out + channel, residual_offset(call), count,
                         ounce_min64(p->out_c, last * w.block * OUNCE_LANES) - channel);
        }
    }
}
TARGET_END
#endif
