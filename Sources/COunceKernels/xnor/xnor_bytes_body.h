// Signs as bits, eight inputs to a byte and sixteen output channels to a vector; compiled once for each instruction set. The
// including file defines TILE_WIDE, TILE_NARROW and TILE_VARIANTS (conv/tile_body.h), and count_set(): how many bits of each
// byte of a v16ub are set.
#define TILE_INPUT uint8_t
#define TILE_OUTPUT int8_t
#define TILE_GROUP 4
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

// Counts differing bits; `masked` where some input is 0.
OUNCE_INLINE void count_bits(const tile_call *t, const int pixels, const int panels, const int masked,
                             v16us sum[TILE_PIXELS][TILE_PANELS]) {
    const uint8_t *w = (const uint8_t *)t->panel + PANEL_HEADER;
    v16ub acc[TILE_PIXELS][TILE_PANELS] = {{{0}}};
    const int64_t plane = plane_bytes(t->p);
    const conv_shape s = *t->shape;
    int used = 0;
    for (int64_t row = 0; row < s.rows; row++) {
        for (int64_t column = 0; column < s.columns; column++) {
            const int64_t from = row * s.row_step + column * s.column_step;
            for (int64_t k = from; k < from + s.length; k++, w += 16, used++) {
                if (used == STEPS_OF_UINT8) {
                    OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
                        OUNCE_UNROLL for (int n = 0; n < panels; n++) {
                            sum[m][n] += __builtin_convertvector(acc[m][n], v16us);
                            acc[m][n] = (v16ub){0};
                        }
                    }
                    used = 0;
                }
                OUNCE_UNROLL for (int n = 0; n < panels; n++) {
                    const v16ub weights = LOAD(v16ub, w + (size_t)n * t->panel_bytes);
                    OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
                        v16ub differing = weights ^ t->x[m][k];
                        if (masked) differing &= t->x[m][k + plane];
                        acc[m][n] += count_set(differing);
                    }
                }
            }
        }
    }
    OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
        OUNCE_UNROLL for (int n = 0; n < panels; n++) sum[m][n] += __builtin_convertvector(acc[m][n], v16us);
    }
}

// Inputs of a pixel that are not 0.
OUNCE_INLINE uint32_t count_inputs(const tile_call *t, const uint8_t *mask) {
    const conv_shape *s = t->shape;
    uint32_t count = 0;
    for (int64_t segment = 0; segment < s->rows * s->columns; segment++) {
        const uint8_t *bits = mask + segment / s->columns * s->row_step + segment % s->columns * s->column_step;
        for (int64_t k = 0; k < s->length; k += 8) {
            uint64_t eight = LOAD(uint64_t, bits + k);
            if (s->length - k < 8) eight &= (1ull << 8 * (s->length - k)) - 1;
            count += (uint32_t)__builtin_popcountll(eight);
        }
    }
    return count;
}

OUNCE_INLINE void tile(const tile_call *t, const int pixels, const int panels) {
    v16us sum[TILE_PIXELS][TILE_PANELS] = {{{0}}};
    const int masked = t->p->in_ternary != 0;
    uint32_t count[TILE_PIXELS];
    OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
        count[m] = masked ? count_inputs(t, t->x[m] + plane_bytes(t->p)) : (uint32_t)t->p->in_zero;
    }
    if (masked) count_bits(t, pixels, panels, 1, sum);
    else count_bits(t, pixels, panels, 0, sum);
    const ounce_range range = ounce_make_range(t->p->out_min, t->p->out_max, t->p->out_zero);
    OUNCE_UNROLL for (int n = 0; n < panels; n++) {
        const char *panel = t->panel + (size_t)n * t->panel_bytes;
        const v16u start = LOAD(v16u, panel);
        const v16f scale = LOAD(v16f, panel + sizeof(v16i));
        OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
            if (m >= t->count) break;
            const v16u differing = __builtin_convertvector(sum[m][n], v16u);
            store_requantised(t->out[m] + n * OUNCE_LANES, (v16i)(start + count[m] - 2 * differing), scale, range,
                              t->channels - n * OUNCE_LANES);
        }
    }
}

#include "xnor_walk.h"
