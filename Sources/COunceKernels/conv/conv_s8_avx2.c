// Int8 convolution without dot products of four: the input pixels of a tile are gathered as int16, and vpmaddwd
// multiplies pairs exactly (also -128 by -128) into int32.
#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma")
#include "tile.h"

#define OUNCE_BODY_ISA avx2
#define TILE_INPUT int16_t
#define TILE_OUTPUT int8_t
#define TILE_WIDE 6
#define TILE_NARROW 6
#define TILE_GROUP 1
#define TILE_VARIANTS(V) V(1, 1) V(2, 1) V(4, 1) V(6, 1) V(1, 2) V(1, 3) V(1, 4)
#include "tile_body.h"

OUNCE_INLINE void tile(const tile_call *t, const int pixels, const int panels) {
    __m256i acc[TILE_PIXELS][2 * TILE_PANELS];
    OUNCE_UNROLL for (int n = 0; n < 2 * panels; n++) {
        const __m256i start = LOAD(__m256i, t->panel + (size_t)(n / 2) * t->panel_bytes + (n & 1) * 32);
        OUNCE_UNROLL for (int m = 0; m < pixels; m++) acc[m][n] = start;
    }
    const int16_t *x[TILE_PIXELS];
    OUNCE_UNROLL for (int m = 0; m < pixels; m++) x[m] = t->x[m];
    const char *w = t->panel + PANEL_HEADER;
    for (int64_t k = 0; k < t->shape->length; k += 2, w += 64) {
        OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
            const __m256i v = _mm256_set1_epi32(LOAD(int32_t, x[m] + k));
            OUNCE_UNROLL for (int n = 0; n < 2 * panels; n++) {
                const __m256i weights = LOAD(__m256i, w + (size_t)(n / 2) * t->panel_bytes + (n & 1) * 32);
                acc[m][n] = _mm256_add_epi32(acc[m][n], _mm256_madd_epi16(v, weights));
            }
        }
    }
    const ounce_range range = ounce_make_range(t->p->out_min, t->p->out_max, t->p->out_zero);
    OUNCE_UNROLL for (int n = 0; n < panels; n++) {
        const v16f scale = LOAD(v16f, t->panel + (size_t)n * t->panel_bytes + sizeof(v16i));
        OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
            if (m >= t->count) break;
            store_requantised(t->out[m] + n * OUNCE_LANES, LOAD(v16i, &acc[m][2 * n]), scale, range,
                              t->channels - n * OUNCE_LANES);
        }
    }
}

// The segments of one pixel, end to end, widened. Whole vectors are written: the row has room for them.
static void gather(const int8_t *in, const conv_shape *s, int16_t *row) {
    for (int64_t y = 0; y < s->rows; y++) {
        for (int64_t x = 0; x < s->columns; x++, row += s->length) {
            const int8_t *from = in + y * s->row_step + x * s->column_step;
            for (int64_t k = 0; k < s->length; k += 16) {
                const __m256i wide = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(from + k)));
                _mm256_storeu_si256((__m256i *)(row + k), wide);
            }
        }
    }
}

void ounce_conv_s8_avx2(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_conv_params *p = call->params;
    const conv_shape s = make_conv_shape(p), gathered = gathered_shape(s);
    tile_call t = {.panel_bytes = s8_panel_bytes(&gathered, 2, 2), .shape = &gathered, .p = p};
    const size_t row = pairs_row(&gathered);
    tile_pixels pixels = {.count = 0};
    const int16_t *x[TILE_PIXELS];
    int8_t *out[TILE_PIXELS];
    for (int64_t unit = begin, current = -1; unit < end; unit++) {
        if (unit / s.blocks != current) {
            current = unit / s.blocks;
            make_tile_pixels(p, &s, current, &pixels);
            for (int64_t m = 0; m < pixels.count; m++) {
                x[m] = (int16_t *)call->scratch + (size_t)m * row;
                gather((const int8_t *)call->in[0] + pixels.in[m], &s, (int16_t *)call->scratch + (size_t)m * row);
                out[m] = (int8_t *)call->out + pixels.out[m];
            }
        }
        tile_unit(&t, x, out, pixels.count, unit % s.blocks, call->packed);
    }
}
TARGET_END
#endif
