#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vpopcntdq,popcnt")
#define ADD_S8_AVX512
#include "../conv/requantise_avx512.h"
#include "bits.h"
#include "words_walk.h"

// Tiles of the image of bits.
#define WALK_INPUT uint8_t
#define WALK_OUTPUT int8_t
#define WALK_PIXELS 24
#define WALK_VARIANTS(V)                                                                                       \
    V(1, 1) V(4, 1) V(8, 1) V(12, 1) V(16, 1) V(20, 1) V(24, 1) V(1, 2) V(2, 2) V(4, 2) V(6, 2) V(8, 2) V(9, 2) \
    V(10, 2) V(12, 2) V(1, 3) V(1, 4) V(1, 5) V(1, 6) V(1, 7) V(1, 8)
#include "../conv/walk_body.h"

// Makes the bits of `count` inputs: which are negative, which are 0; returns whether one is 0. Writes eight bytes at a time:
// what comes behind is made later, or room.
OUNCE_INLINE int make_bits(const int8_t *in, int64_t count, uint8_t *signs, uint8_t *zeros) {
    uint64_t some = 0;
    for (int64_t c = 0; c < count; c += 64, signs += 8, zeros += 8) {
        const int64_t left = count - c;
        const uint64_t inside = OUNCE_LIKELY(left >= 64) ? ~0ull : (1ull << left) - 1;
        const __m512i x = _mm512_maskz_loadu_epi8(inside, in + c);
        const uint64_t s = _mm512_movepi8_mask(x), z = inside & _mm512_testn_epi8_mask(x, x);
        memcpy(signs, &s, 8), memcpy(zeros, &z, 8);
        some |= z;
    }
    return some != 0;
}

// Makes the rows of the image from `row` up to `end` (counted through the images).
static void make_rows(const ounce_call *call, xnor_image *image, int64_t row, int64_t end) {
    const ounce_conv_params *p = call->params;
    const int whole = p->in_pixel == p->in_c && p->in_c % 8 == 0;
    const int64_t pixels = whole ? 1 : image->width, count = whole ? image->width * p->in_c : p->in_c;
    for (; row < end; row++) {
        const int8_t *in = (const int8_t *)call->in[0] + row / image->height * p->in_image +
                           row % image->height * p->in_row;
        uint8_t *to = (uint8_t *)call->scratch + row * image->p.in_row;
        for (int64_t x = 0; x < pixels; x++, in += p->in_pixel, to += image->p.in_pixel) {
            image->p.in_ternary |= make_bits(in, count, to, to + xnor_plane_bytes(image));
        }
    }
}

// Whether one of the inputs is 0 that lie between the first that a tile's first pixel reads and the last of its last.
OUNCE_INLINE int some_zero(const tile_call *t, const int pixels) {
    const conv_walk *w = t->walk;
    const int64_t bytes = t->x[pixels - 1] - t->x[0] + (w->columns - 1) * w->column_step + w->length;
    __m512i some = _mm512_setzero_si512();
    for (int64_t row = 0; row < w->rows; row++) {
        const uint8_t *zeros = t->x[0] + xnor_plane(t->p) + row * w->row_step;
        for (int64_t k = 0; k < bytes; k += 64) {
            const int64_t left = bytes - k;
            const uint64_t inside = left >= 64 ? ~0ull : (1ull << left) - 1;
            some = _mm512_or_si512(some, _mm512_maskz_loadu_epi8(inside, zeros + k));
        }
    }
    return _mm512_test_epi8_mask(some, some) != 0;
}

// How many of the inputs that an output pixel reads are 0.
OUNCE_INLINE int32_t count_zeros(const uint8_t *zeros, const conv_walk *w) {
    int64_t count = 0;
    const uint64_t inside = (1ull << 8 * (w->length % 8)) - 1;
    for (int64_t row = 0; row < w->rows; row++) {
        for (int64_t column = 0; column < w->columns; column++) {
            const uint8_t *from = zeros + row * w->row_step + column * w->column_step, *end = from + w->length / 8 * 8;
            _Pragma("clang loop vectorize(disable) unroll(disable)")
            for (; from < end; from += 8) count += __builtin_popcountll(LOAD(uint64_t, from));
            if (inside) count += __builtin_popcountll(LOAD(uint64_t, from) & inside);
        }
    }
    return (int32_t)count;
}

// Takes twice the differing bits of a word off the sums; `outside` are the bits behind the segment in its last.
OUNCE_INLINE void take_word(__m512i acc[][8], const uint8_t *const *x, int64_t k, int64_t plane, const char *weights,
                            size_t panel_bytes, __m512i outside, const int pixels, const int panels, const int masked,
                            const int last) {
    const __m512i less_two = _mm512_set1_epi8(-2);
    __m512i wide[8];
    OUNCE_UNROLL for (int n = 0; n < panels; n++) wide[n] = _mm512_loadu_si512(weights + (size_t)n * panel_bytes);
    OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
        const __m512i signs = _mm512_set1_epi32(LOAD(int32_t, x[m] + k));
        __m512i without = outside;
        if (masked) {
            without = _mm512_set1_epi32(LOAD(int32_t, x[m] + k + plane));
            if (last) without = _mm512_or_si512(without, outside);
        }
        OUNCE_UNROLL for (int n = 0; n < panels; n++) {
            const __m512i differing = masked || last ? _mm512_ternarylogic_epi32(wide[n], signs, without, 0x14)  // & ~
                                                     : _mm512_xor_si512(wide[n], signs);
            acc[m][n] = _mm512_dpbusd_epi32(acc[m][n], _mm512_popcnt_epi32(differing), less_two);
        }
    }
}

OUNCE_INLINE void count_tile(const tile_call *t, const int32_t *zeros, const int pixels, const int panels,
                             const int masked) {
    const conv_walk w = *t->walk;
    const int64_t plane = xnor_plane(t->p), last = w.length % 4;
    const __m512i outside = _mm512_set1_epi32((int32_t)(~0u << 8 * last));
    __m512i acc[WALK_PIXELS][8];
    OUNCE_UNROLL for (int n = 0; n < panels; n++) {
        const __m512i start = _mm512_loadu_si512(t->panel + (size_t)n * w.panel_bytes);
        const __m512i all = _mm512_add_epi32(start, _mm512_set1_epi32(t->p->in_zero));
        OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
            acc[m][n] = masked ? _mm512_sub_epi32(all, _mm512_set1_epi32(zeros[m])) : all;
        }
    }
    const char *weights = t->panel + S8_HEADER;
    for (int64_t row = 0; row < w.rows; row++) {
        for (int64_t column = 0; column < w.columns; column++) {
            int64_t k = row * w.row_step + column * w.column_step;
            const int64_t end = k + w.length - last;
            __asm__("" : "+r"(k));  // one index for all pixels, not a pointer for each
            for (; k < end; k += 4, weights += 64) {
                take_word(acc, t->x, k, plane, weights, w.panel_bytes, outside, pixels, panels, masked, 0);
            }
            if (!last) continue;
            take_word(acc, t->x, k, plane, weights, w.panel_bytes, outside, pixels, panels, masked, 1);
            weights += 64;
        }
    }
    const ounce_range range = ounce_make_range(t->p->out_min, t->p->out_max, t->p->out_zero);
    const int block = panels == 1 && pixels > 1 ? 1 : pixels > 1 ? 2 : 4, together = 4 / block;
    OUNCE_UNROLL for (int first = 0; first < panels; first += block) {
        __m512 scale[4];
        OUNCE_UNROLL for (int i = 0; i < 4; i++) {
            const int n = first + i % block < panels ? first + i % block : panels - 1;
            scale[i] = _mm512_loadu_ps(t->panel + (size_t)n * w.panel_bytes + 64);
        }
        OUNCE_UNROLL for (int m = 0; m < pixels; m += together) {
            __m512i sum[4];
            OUNCE_UNROLL for (int i = 0; i < 4; i++) {
                const int n = first + i % block < panels ? first + i % block : panels - 1;
                sum[i] = acc[pixels - m > i / block ? m + i / block : m][n];
            }
            const __m512i q = requantised(sum, scale, range);
            const int64_t offset = first * OUNCE_LANES;
            if (pixels == 1) store_single(t->out[0] + t->out_offset + offset, q, t->channels - offset);
            else store_group(t->out + m, t->out_offset, q, panels, t->channels);
        }
    }
}

OUNCE_INLINE void tile(const tile_call *t, const int pixels, const int panels) {
    if (!t->p->in_ternary || !some_zero(t, pixels)) {
        count_tile(t, NULL, pixels, panels, 0);
        return;
    }
    int32_t zeros[WALK_PIXELS];
    for (int m = 0; m < pixels; m++) zeros[m] = count_zeros(t->x[m] + xnor_plane(t->p), t->walk);
    count_tile(t, zeros, pixels, panels, 1);
}

void ounce_conv_s8_avx512popcnt_xnor(const ounce_call *call, int64_t begin, int64_t end) {
    if (begin >= end) return;
    const ounce_conv_params *p = call->params;
    xnor_image image = make_xnor_image(p, xnor_bit_elements(p));
    const conv_walk w = xnor_words_walk(&image.p);
    const int64_t first = walk_pixel(&w, begin / w.blocks) / p->out_w;
    const int64_t last = (walk_pixel(&w, (end - 1) / w.blocks + 1) - 1) / p->out_w;
    const int64_t below = (int64_t)(p->kernel_h - 1) * p->dilation_h + 1;
    make_rows(call, &image, first / p->out_h * image.height + first % p->out_h * p->stride_h,
              last / p->out_h * image.height + last % p->out_h * p->stride_h + below);
    ounce_call bits = *call;
    bits.params = &image.p;
    bits.in[0] = call->scratch;
    walk_units(&bits, &w, begin, end);
}
TARGET_END
#endif
