// Without a vector popcount: the sums of four inputs with every pattern of four weight signs are a row of a table, and
// vpshufb picks the sum for each of sixteen channels by its signs.
#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma")
#include "bits.h"

// Inputs of a tile are given as offsets into the table, one for four inputs.
#define OUNCE_BODY_ISA avx2
#define TILE_INPUT uint16_t
#define TILE_OUTPUT int8_t
#define TILE_WIDE 2
#define TILE_NARROW 4
#define TILE_GROUP 4
#define TILE_VARIANTS(V) V(1, 1) V(2, 1) V(4, 1) V(1, 2) V(2, 2) V(4, 2) V(1, 3) V(2, 3) V(1, 4) V(2, 4)
#define TABLE_BYTES 4096
// Steps whose int8 sums (at most 8 in size for each) cannot overflow.
#define STEPS_OF_INT8 15

#include "../conv/tile_body.h"

// Rows of the table for two groups of four inputs.
OUNCE_INLINE __m256i rows(const char *table, const uint16_t *x) {
    const __m256i low = _mm256_castsi128_si256(_mm_load_si128((const __m128i *)(table + x[0])));
    return _mm256_inserti128_si256(low, _mm_load_si128((const __m128i *)(table + x[1])), 1);
}

OUNCE_INLINE void tile(const tile_call *t, const int pixels, const int panels) {
    // The table stands before the first panel.
    const char *table = t->panel - (t->p->out_c - t->channels) / OUNCE_LANES * (int64_t)t->panel_bytes - TABLE_BYTES;
    const __m256i half = _mm256_set1_epi8(15);
    __m256i sum[TILE_PIXELS][TILE_PANELS];
    OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
        OUNCE_UNROLL for (int n = 0; n < panels; n++) sum[m][n] = _mm256_setzero_si256();
    }
    const char *w = t->panel + PANEL_HEADER;
    const int64_t steps = ounce_ceil_div(xnor_length(t->shape), 16);
    for (int64_t first = 0; first < steps; first += STEPS_OF_INT8) {
        const int64_t last = ounce_min64(steps, first + STEPS_OF_INT8);
        __m256i acc[TILE_PIXELS][TILE_PANELS];
        OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
            OUNCE_UNROLL for (int n = 0; n < panels; n++) acc[m][n] = _mm256_setzero_si256();
        }
        for (int64_t step = first; step < last; step++, w += 32) {
            __m256i low[TILE_PANELS], high[TILE_PANELS];
            OUNCE_UNROLL for (int n = 0; n < panels; n++) {
                const __m256i signs = LOAD(__m256i, w + (size_t)n * t->panel_bytes);
                low[n] = _mm256_and_si256(signs, half);
                high[n] = _mm256_and_si256(_mm256_srli_epi16(signs, 4), half);
            }
            OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
                const __m256i a = rows(table, t->x[m] + 4 * step), b = rows(table, t->x[m] + 4 * step + 2);
                OUNCE_UNROLL for (int n = 0; n < panels; n++) {
                    acc[m][n] = _mm256_add_epi8(acc[m][n], _mm256_shuffle_epi8(a, low[n]));
                    acc[m][n] = _mm256_add_epi8(acc[m][n], _mm256_shuffle_epi8(b, high[n]));
                }
            }
        }
        OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
            OUNCE_UNROLL for (int n = 0; n < panels; n++) {
                const __m256i a = _mm256_cvtepi8_epi16(_mm256_castsi256_si128(acc[m][n]));
                const __m256i b = _mm256_cvtepi8_epi16(_mm256_extracti128_si256(acc[m][n], 1));
                sum[m][n] = _mm256_add_epi16(sum[m][n], _mm256_add_epi16(a, b));
            }
        }
    }
    const ounce_range range = ounce_make_range(t->p->out_min, t->p->out_max, t->p->out_zero);
    typedef int16_t v16h __attribute__((vector_size(32)));
    OUNCE_UNROLL for (int n = 0; n < panels; n++) {
        const char *panel = t->panel + (size_t)n * t->panel_bytes;
        const v16u start = LOAD(v16u, panel);
        const v16f scale = LOAD(v16f, panel + sizeof(v16i));
        OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
            if (m >= t->count) break;
            const v16i wide = __builtin_convertvector((v16h)sum[m][n], v16i);
            store_requantised(t->out[m] + n * OUNCE_LANES, (v16i)(start + (v16u)wide), scale, range,
                              t->channels - n * OUNCE_LANES);
        }
    }
}

// 16 times the code of each four inputs.
static void codes(const int8_t *row, int64_t padded, uint16_t *to) {
    const __m256i fours = _mm256_set1_epi16(0x0401), sixteens = _mm256_set1_epi32(0x00100001);
    for (int64_t k = 0; k < padded; k += 32, to += 8) {
        const __m256i fields = _mm256_and_si256(LOAD(__m256i, row + k), _mm256_set1_epi8(3));
        const __m256i code = _mm256_madd_epi16(_mm256_maddubs_epi16(fields, fours), sixteens);
        const __m256i offset = _mm256_slli_epi32(code, 4);
        const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(offset, offset), 0x08);
        _mm_storeu_si128((__m128i *)to, _mm256_castsi256_si128(packed));
    }
}

void ounce_conv_s8_avx2_xnor(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_conv_params *p = call->params;
    const conv_shape s = make_conv_shape(p);
    tile_call t = {.panel_bytes = xnor_panel_bytes(&s, 16, 32), .shape = &s, .p = p};
    const int64_t padded = xnor_padded(&s);
    int8_t *row = call->scratch;
    uint16_t *offsets = (uint16_t *)(row + padded);
    tile_pixels pixels = {.count = 0};
    const uint16_t *x[TILE_PIXELS];
    int8_t *out[TILE_PIXELS];
    for (int64_t unit = begin, current = -1; unit < end; unit++) {
        if (unit / s.blocks != current) {
            current = unit / s.blocks;
            make_tile_pixels(p, &s, current, &pixels);
            for (int64_t m = 0; m < pixels.count; m++) {
                xnor_gather((const int8_t *)call->in[0] + pixels.in[m], &s, row);
                codes(row, padded, offsets + m * padded / 4);
                x[m] = offsets + m * padded / 4;
                out[m] = (int8_t *)call->out + pixels.out[m];
            }
        }
        tile_unit(&t, x, out, pixels.count, unit % s.blocks, (const char *)call->packed + TABLE_BYTES);
    }
}
TARGET_END
#endif
