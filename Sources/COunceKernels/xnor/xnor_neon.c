#if defined(__aarch64__)
#include "../target.h"

#include "bits.h"

#define OUNCE_BODY_ISA neon
#define OUNCE_XNOR_WORD uint8_t
#define TILE_INPUT uint8_t
#define TILE_OUTPUT int8_t
#define TILE_WIDE 4
#define TILE_NARROW 6
#define TILE_GROUP 4
#define TILE_VARIANTS(V) V(1, 1) V(3, 1) V(6, 1) V(1, 2) V(3, 2) V(6, 2) V(1, 3) V(4, 3) V(1, 4) V(4, 4)
#include "../conv/tile_body.h"

// Steps whose counts (at most 8 each) fit a byte.
#define STEPS_OF_UINT8 31

// Bytes of signs and mask in turns; returns how many mask bits are set.
OUNCE_INLINE int32_t xnor_pack_row(const int8_t *row, int64_t padded, uint8_t *to) {
    int32_t count = 0;
    for (int64_t k = 0; k < padded; k += 8, to += 2) {
        to[0] = xnor_signs(row + k);
        to[1] = xnor_mask(row + k);
        count += __builtin_popcount(to[1]);
    }
    return count;
}

typedef struct {
    uint16x8_t low, high;
} counts;

// Counts differing bits; `masked` where some input is 0.
OUNCE_INLINE void count_bits(const tile_call *t, const int pixels, const int panels, const int masked,
                             counts sum[TILE_PIXELS][TILE_PANELS]) {
    const uint8_t *w = (const uint8_t *)t->panel + PANEL_HEADER;
    const int64_t steps = ounce_ceil_div(xnor_length(t->shape), 8);
    for (int64_t first = 0; first < steps; first += STEPS_OF_UINT8) {
        const int64_t last = ounce_min64(steps, first + STEPS_OF_UINT8);
        uint8x16_t acc[TILE_PIXELS][TILE_PANELS];
        OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
            OUNCE_UNROLL for (int n = 0; n < panels; n++) acc[m][n] = vdupq_n_u8(0);
        }
        for (int64_t step = first; step < last; step++, w += 16) {
            uint8x16_t weights[TILE_PANELS];
            OUNCE_UNROLL for (int n = 0; n < panels; n++) weights[n] = vld1q_u8(w + (size_t)n * t->panel_bytes);
            OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
                const uint8_t *x = t->x[m] + sizeof(xnor_head) + 2 * step;
                const uint8x16_t signs = vld1q_dup_u8(x), mask = vld1q_dup_u8(x + 1);
                OUNCE_UNROLL for (int n = 0; n < panels; n++) {
                    uint8x16_t differing = veorq_u8(weights[n], signs);
                    if (masked) differing = vandq_u8(differing, mask);
                    acc[m][n] = vaddq_u8(acc[m][n], vcntq_u8(differing));
                }
            }
        }
        OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
            OUNCE_UNROLL for (int n = 0; n < panels; n++) {
                sum[m][n].low = vaddw_u8(sum[m][n].low, vget_low_u8(acc[m][n]));
                sum[m][n].high = vaddw_high_u8(sum[m][n].high, acc[m][n]);
            }
        }
    }
}

OUNCE_INLINE void tile(const tile_call *t, const int pixels, const int panels) {
    counts sum[TILE_PIXELS][TILE_PANELS];
    int masked = 0;
    OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
        masked |= LOAD(int32_t, t->x[m]) != xnor_length(t->shape);
        OUNCE_UNROLL for (int n = 0; n < panels; n++) sum[m][n] = (counts){vdupq_n_u16(0), vdupq_n_u16(0)};
    }
    if (masked) count_bits(t, pixels, panels, 1, sum);
    else count_bits(t, pixels, panels, 0, sum);
    const ounce_range range = ounce_make_range(t->p->out_min, t->p->out_max, t->p->out_zero);
    typedef uint16_t v16h __attribute__((vector_size(32)));
    OUNCE_UNROLL for (int n = 0; n < panels; n++) {
        const char *panel = t->panel + (size_t)n * t->panel_bytes;
        const v16u start = LOAD(v16u, panel);
        const v16f scale = LOAD(v16f, panel + sizeof(v16i));
        OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
            if (m >= t->count) break;
            const v16u differing = __builtin_convertvector(LOAD(v16h, &sum[m][n]), v16u);
            const uint32_t count = LOAD(uint32_t, t->x[m]);
            store_requantised(t->out[m] + n * OUNCE_LANES, (v16i)(start + count - 2 * differing), scale, range,
                              t->channels - n * OUNCE_LANES);
        }
    }
}

#include "xnor_walk.h"
#endif
