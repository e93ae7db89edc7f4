#if defined(__aarch64__)
#include "../target.h"

#include "bits.h"

#define OUNCE_BODY_ISA neon
#define TILE_INPUT uint8_t
#define TILE_OUTPUT int8_t
#define TILE_WIDE 4
#define TILE_NARROW 6
#define TILE_GROUP 4
#define TILE_VARIANTS(V) V(1, 1) V(3, 1) V(6, 1) V(1, 2) V(3, 2) V(6, 2) V(1, 3) V(4, 3) V(1, 4) V(4, 4)
#define XNOR_ELEMENTS xnor_bit_elements
#define XNOR_GROUP 8
#define XNOR_STEP 1
#define XNOR_STEP_BYTES 16
#define XNOR_BEFORE 0
#include "../conv/tile_body.h"

// Steps whose counts (at most 8 each) fit a byte.
#define STEPS_OF_UINT8 31

OUNCE_INLINE int xnor_make(const int8_t *in, int64_t count, void *scratch, const xnor_image *image, int64_t at) {
    uint8_t *signs = (uint8_t *)scratch + at, *mask = signs + xnor_plane_bytes(image);
    int some = 0;
    for (int64_t c = 0; c < count; c += 8, signs++, mask++) {
        const uint64_t inside = count - c < 8 ? (1ull << 8 * (count - c)) - 1 : ~0ull;
        const uint64_t eight = LOAD(uint64_t, in + c) & inside;
        *signs = xnor_bits(eight >> 7);
        *mask = xnor_bits(eight);
        some |= *mask != xnor_bits(inside);
    }
    return some;
}

OUNCE_INLINE int64_t plane_bytes(const ounce_conv_params *p) { return (p->in_image * p->batch + 15) & ~(int64_t)7; }

typedef struct {
    uint16x8_t low, high;
} counts;

OUNCE_INLINE counts widen_add(counts sum, uint8x16_t acc) {
    return (counts){vaddw_u8(sum.low, vget_low_u8(acc)), vaddw_high_u8(sum.high, acc)};
}

// Counts differing bits; `masked` where some input is 0.
OUNCE_INLINE void count_bits(const tile_call *t, const int pixels, const int panels, const int masked,
                             counts sum[TILE_PIXELS][TILE_PANELS]) {
    const ounce_conv_params *p = t->p;
    const uint8_t *w = (const uint8_t *)t->panel + PANEL_HEADER;
    uint8x16_t acc[TILE_PIXELS][TILE_PANELS];
    OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
        OUNCE_UNROLL for (int n = 0; n < panels; n++) acc[m][n] = vdupq_n_u8(0);
    }
    const int64_t plane = plane_bytes(p);
    const conv_shape s = *t->shape;
    int used = 0;
    for (int64_t row = 0; row < s.rows; row++) {
        for (int64_t column = 0; column < s.columns; column++) {
            const int64_t from = row * s.row_step + column * s.column_step;
            for (int64_t k = from; k < from + s.length; k++, w += 16, used++) {
                if (used == STEPS_OF_UINT8) {
                    OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
                        OUNCE_UNROLL for (int n = 0; n < panels; n++) {
                            sum[m][n] = widen_add(sum[m][n], acc[m][n]);
                            acc[m][n] = vdupq_n_u8(0);
                        }
                    }
                    used = 0;
                }
                uint8x16_t weights[TILE_PANELS];
                OUNCE_UNROLL for (int n = 0; n < panels; n++) weights[n] = vld1q_u8(w + (size_t)n * t->panel_bytes);
                OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
                    const uint8_t *x = t->x[m] + k;
                    const uint8x16_t signs = vld1q_dup_u8(x);
                    OUNCE_UNROLL for (int n = 0; n < panels; n++) {
                        uint8x16_t differing = veorq_u8(weights[n], signs);
                        if (masked) differing = vandq_u8(differing, vld1q_dup_u8(x + plane));
                        acc[m][n] = vaddq_u8(acc[m][n], vcntq_u8(differing));
                    }
                }
            }
        }
    }
    OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
        OUNCE_UNROLL for (int n = 0; n < panels; n++) sum[m][n] = widen_add(sum[m][n], acc[m][n]);
    }
}

OUNCE_INLINE void tile(const tile_call *t, const int pixels, const int panels) {
    counts sum[TILE_PIXELS][TILE_PANELS];
    const ounce_conv_params *p = t->p;
    const conv_shape s = *t->shape;
    const int masked = p->in_ternary != 0;
    uint32_t count[TILE_PIXELS];
    OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
        OUNCE_UNROLL for (int n = 0; n < panels; n++) sum[m][n] = (counts){vdupq_n_u16(0), vdupq_n_u16(0)};
        count[m] = masked ? 0 : (uint32_t)p->in_zero;
        for (int64_t segment = 0; masked && segment < s.rows * s.columns; segment++) {
            const uint8_t *mask = t->x[m] + plane_bytes(p) + segment / s.columns * s.row_step +
                                  segment % s.columns * s.column_step;
            for (int64_t k = 0; k < s.length; k += 8) {
                uint64_t eight = LOAD(uint64_t, mask + k);
                if (s.length - k < 8) eight &= (1ull << 8 * (s.length - k)) - 1;
                count[m] += (uint32_t)__builtin_popcountll(eight);
            }
        }
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
            store_requantised(t->out[m] + n * OUNCE_LANES, (v16i)(start + count[m] - 2 * differing), scale, range,
                              t->channels - n * OUNCE_LANES);
        }
    }
}

#include "xnor_walk.h"
#endif
