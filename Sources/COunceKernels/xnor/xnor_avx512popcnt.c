#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vpopcntdq,popcnt")
#include "bits.h"

#define OUNCE_BODY_ISA avx512popcnt
#define TILE_INPUT uint8_t
#define TILE_OUTPUT int8_t
#define TILE_WIDE 4
#define TILE_NARROW 6
#define TILE_GROUP 4
#define TILE_VARIANTS(V) V(1, 1) V(3, 1) V(6, 1) V(1, 2) V(3, 2) V(6, 2) V(1, 3) V(4, 3) V(1, 4) V(4, 4)
#define XNOR_ELEMENTS xnor_bit_elements
#define XNOR_GROUP 8
#define XNOR_STEP 4
#define XNOR_STEP_BYTES 64
#define XNOR_BEFORE 0
#include "../conv/tile_body.h"

OUNCE_INLINE int xnor_make(const int8_t *in, int64_t count, void *scratch, const xnor_image *image, int64_t at) {
    char *signs = (char *)scratch + at, *mask = signs + xnor_plane_bytes(image);
    int some = 0;
    for (int64_t c = 0; c < count; c += 64, signs += 8, mask += 8) {
        const int64_t left = ounce_min64(64, count - c);
        const uint64_t inside = left == 64 ? ~0ull : (1ull << left) - 1;
        const __m512i x = _mm512_maskz_loadu_epi8(inside, in + c);
        const uint64_t s = _mm512_movepi8_mask(x), m = _mm512_test_epi8_mask(x, x);
        if (OUNCE_LIKELY(left == 64)) {
            memcpy(signs, &s, 8), memcpy(mask, &m, 8);
        } else {
            for (int64_t byte = 0; byte * 8 < left; byte++) {
                signs[byte] = (char)(s >> 8 * byte), mask[byte] = (char)(m >> 8 * byte);
            }
        }
        some |= m != inside;
    }
    return some;
}

// The mask bits that an output pixel reads, of segments of whole words.
OUNCE_INLINE uint32_t xnor_inputs(const uint8_t *mask, const conv_shape *s) {
    uint32_t count = 0;
    for (int64_t row = 0; row < s->rows; row++) {
        for (int64_t column = 0; column < s->columns; column++) {
            const uint8_t *from = mask + row * s->row_step + column * s->column_step;
            int64_t k = 0;
            for (; k + 8 <= s->length; k += 8) count += (uint32_t)__builtin_popcountll(LOAD(uint64_t, from + k));
            if (k < s->length) count += (uint32_t)__builtin_popcount(LOAD(uint32_t, from + k));
        }
    }
    return count;
}

// Counts the bits of a segment's last word, where it is not whole, or of all its other words.
#define COUNT_WORD(counted, inside)                                                                            \
    {                                                                                                          \
        __m512i weights[TILE_PANELS];                                                                          \
        OUNCE_UNROLL for (int n = 0; n < panels; n++) {                                                        \
            weights[n] = _mm512_loadu_si512(w + (size_t)n * t->panel_bytes);                                   \
        }                                                                                                      \
        OUNCE_UNROLL for (int m = 0; m < pixels; m++) {                                                        \
            const __m512i signs = _mm512_set1_epi32(LOAD(int32_t, x[m] + k));                                  \
            const uint32_t bits = LOAD(uint32_t, x[m] + k + plane) & (inside);                                 \
            const __m512i mask = _mm512_set1_epi32((int32_t)bits);                                             \
            if (masked && !(counted)) count[m] += (uint32_t)__builtin_popcount(bits);                          \
            OUNCE_UNROLL for (int n = 0; n < panels; n++) {                                                    \
                /* (weights ^ signs) & mask */                                                                 \
                const __m512i differing = _mm512_ternarylogic_epi32(weights[n], signs, mask, 0x28);            \
                acc[m][n] = _mm512_add_epi32(acc[m][n], _mm512_popcnt_epi32(differing));                       \
            }                                                                                                  \
        }                                                                                                      \
        w += 64;                                                                                               \
    }

OUNCE_INLINE void xnor_tile(const tile_call *t, const int pixels, const int panels, const int masked,
                            const int whole) {
    const ounce_conv_params *p = t->p;
    const conv_shape s = *t->shape;
    const int64_t plane = (p->in_image * p->batch + 15) & ~(int64_t)7;
    __m512i acc[TILE_PIXELS][TILE_PANELS];
    uint32_t count[TILE_PIXELS];
    const uint8_t *x[TILE_PIXELS];
    OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
        OUNCE_UNROLL for (int n = 0; n < panels; n++) acc[m][n] = _mm512_setzero_si512();
        x[m] = t->x[m];
        count[m] = !masked ? (uint32_t)p->in_zero : whole ? xnor_inputs(x[m] + plane, &s) : 0;
    }
    const char *w = t->panel + PANEL_HEADER;
    for (int64_t row = 0; row < s.rows; row++) {
        for (int64_t column = 0; column < s.columns; column++) {
            int64_t k = row * s.row_step + column * s.column_step;
            const int64_t end = k + s.length;
            for (; k + 4 <= end; k += 4) COUNT_WORD(whole, ~0u)
            if (!whole && k < end) COUNT_WORD(0, (1u << 8 * (end - k)) - 1)
        }
    }
    const ounce_range range = ounce_make_range(p->out_min, p->out_max, p->out_zero);
    OUNCE_UNROLL for (int n = 0; n < panels; n++) {
        const char *panel = t->panel + (size_t)n * t->panel_bytes;
        const v16u start = LOAD(v16u, panel);
        const v16f scale = LOAD(v16f, panel + sizeof(v16i));
        OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
            if (m >= t->count) break;
            store_requantised(t->out[m] + n * OUNCE_LANES, (v16i)(start + count[m] - 2 * (v16u)acc[m][n]), scale, range,
                              t->channels - n * OUNCE_LANES);
        }
    }
}

OUNCE_INLINE void tile(const tile_call *t, const int pixels, const int panels) {
    const int whole = t->shape->length % 4 == 0;
    if (!t->p->in_ternary) xnor_tile(t, pixels, panels, 0, 0);
    else if (whole) xnor_tile(t, pixels, panels, 1, 1);
    else xnor_tile(t, pixels, panels, 1, 0);
}

#include "xnor_walk.h"
TARGET_END
#endif
