#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vpopcntdq,popcnt")
#include "bits.h"

#define OUNCE_BODY_ISA avx512popcnt
#define OUNCE_XNOR_WORD uint32_t
#define TILE_INPUT uint32_t
#define TILE_OUTPUT int8_t
#define TILE_WIDE 4
#define TILE_NARROW 6
#define TILE_GROUP 4
#define TILE_VARIANTS(V) V(1, 1) V(3, 1) V(6, 1) V(1, 2) V(3, 2) V(6, 2) V(1, 3) V(4, 3) V(1, 4) V(4, 4)
#include "../conv/tile_body.h"

// Words of signs and mask in turns; returns how many mask bits are set.
OUNCE_INLINE int32_t xnor_pack_row(const int8_t *row, int64_t padded, uint32_t *to) {
    uint64_t count = 0;
    for (int64_t k = 0; k < padded; k += 64, to += 4) {
        const __m512i x = _mm512_loadu_si512(row + k);
        const uint64_t signs = _mm512_movepi8_mask(x), mask = _mm512_test_epi8_mask(x, x);
        to[0] = (uint32_t)signs, to[1] = (uint32_t)mask;
        to[2] = (uint32_t)(signs >> 32), to[3] = (uint32_t)(mask >> 32);
        count += (uint64_t)__builtin_popcountll(mask);
    }
    return (int32_t)count;
}

OUNCE_INLINE void tile(const tile_call *t, const int pixels, const int panels) {
    __m512i acc[TILE_PIXELS][TILE_PANELS];
    OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
        OUNCE_UNROLL for (int n = 0; n < panels; n++) acc[m][n] = _mm512_setzero_si512();
    }
    const uint32_t *x[TILE_PIXELS];
    OUNCE_UNROLL for (int m = 0; m < pixels; m++) x[m] = t->x[m] + sizeof(xnor_head) / 4;
    const char *w = t->panel + PANEL_HEADER;
    const int64_t words = ounce_ceil_div(xnor_length(t->shape), 32);
    for (int64_t k = 0; k < words; k++, w += 64) {
        __m512i weights[TILE_PANELS];
        OUNCE_UNROLL for (int n = 0; n < panels; n++) weights[n] = _mm512_loadu_si512(w + (size_t)n * t->panel_bytes);
        OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
            const __m512i signs = _mm512_set1_epi32((int32_t)x[m][2 * k]);
            const __m512i mask = _mm512_set1_epi32((int32_t)x[m][2 * k + 1]);
            OUNCE_UNROLL for (int n = 0; n < panels; n++) {
                const __m512i differing = _mm512_ternarylogic_epi32(weights[n], signs, mask, 0x28);
                acc[m][n] = _mm512_add_epi32(acc[m][n], _mm512_popcnt_epi32(differing));
            }
        }
    }
    const ounce_range range = ounce_make_range(t->p->out_min, t->p->out_max, t->p->out_zero);
    OUNCE_UNROLL for (int n = 0; n < panels; n++) {
        const char *panel = t->panel + (size_t)n * t->panel_bytes;
        const v16u start = LOAD(v16u, panel);
        const v16f scale = LOAD(v16f, panel + sizeof(v16i));
        OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
            if (m >= t->count) break;
            const uint32_t count = t->x[m][0];
            store_requantised(t->out[m] + n * OUNCE_LANES, (v16i)(start + count - 2 * (v16u)acc[m][n]), scale, range,
                              t->channels - n * OUNCE_LANES);
        }
    }
}

#include "xnor_walk.h"
TARGET_END
#endif
