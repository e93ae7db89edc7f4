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
#define XNOR_ELEMENTS xnor_table_elements
#define XNOR_GROUP 16
#define XNOR_STEP 2
#define XNOR_STEP_BYTES 32
#define XNOR_BEFORE XNOR_TABLE_BYTES
// Steps whose int8 sums (at most 4 in size for each) cannot overflow.
#define STEPS_OF_INT8 30

#include "../conv/tile_body.h"

// Rows of the table for two groups of four inputs.
OUNCE_INLINE __m256i rows(const char *table, const uint16_t *x) {
    const __m256i low = _mm256_castsi128_si256(_mm_load_si128((const __m128i *)(table + x[0])));
    return _mm256_inserti128_si256(low, _mm_load_si128((const __m128i *)(table + x[1])), 1);
}

// Adds the int8 sums of both halves of the inputs to sixteen int16 sums.
OUNCE_INLINE __m256i widen_add(__m256i sum, __m256i acc) {
    const __m256i a = _mm256_cvtepi8_epi16(_mm256_castsi256_si128(acc));
    const __m256i b = _mm256_cvtepi8_epi16(_mm256_extracti128_si256(acc, 1));
    return _mm256_add_epi16(sum, _mm256_add_epi16(a, b));
}

OUNCE_INLINE void tile(const tile_call *t, const int pixels, const int panels) {
    // The table stands before the first panel.
    const char *table = t->panel - (t->p->out_c - t->channels) / OUNCE_LANES * (int64_t)t->panel_bytes -
                        XNOR_TABLE_BYTES;
    __m256i sum[TILE_PIXELS][TILE_PANELS];
    OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
        OUNCE_UNROLL for (int n = 0; n < panels; n++) sum[m][n] = _mm256_setzero_si256();
    }
    const char *w = t->panel + PANEL_HEADER;
    const conv_shape s = *t->shape;
    __m256i acc[TILE_PIXELS][TILE_PANELS];
    int used = STEPS_OF_INT8;
    for (int64_t row = 0; row < s.rows; row++) {
        for (int64_t column = 0; column < s.columns; column++) {
            const int64_t from = row * s.row_step + column * s.column_step;
            for (int64_t k = from; k < from + s.length; k += 2, w += 32, used++) {
                if (used == STEPS_OF_INT8) {
                    OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
                        OUNCE_UNROLL for (int n = 0; n < panels; n++) {
                            if (w > t->panel + PANEL_HEADER) sum[m][n] = widen_add(sum[m][n], acc[m][n]);
                            acc[m][n] = _mm256_setzero_si256();
                        }
                    }
                    used = 0;
                }
                __m256i signs[TILE_PANELS];
                OUNCE_UNROLL for (int n = 0; n < panels; n++) signs[n] = LOAD(__m256i, w + (size_t)n * t->panel_bytes);
                OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
                    const __m256i two = rows(table, t->x[m] + k);
                    OUNCE_UNROLL for (int n = 0; n < panels; n++) {
                        acc[m][n] = _mm256_add_epi8(acc[m][n], _mm256_shuffle_epi8(two, signs[n]));
                    }
                }
            }
        }
    }
    OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
        OUNCE_UNROLL for (int n = 0; n < panels; n++) sum[m][n] = widen_add(sum[m][n], acc[m][n]);
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

// 16 times the code of each four inputs. No use is made of whether one is 0.
OUNCE_INLINE int xnor_make(const int8_t *in, int64_t count, void *scratch, const xnor_image *image, int64_t at) {
    (void)image;
    static const int8_t ones[64] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
                                    -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
    const __m256i fours = _mm256_set1_epi16(0x0401), sixteens = _mm256_set1_epi32(0x00100001);
    uint16_t *to = (uint16_t *)scratch + at;
    for (int64_t c = 0; c < count; c += 32, to += 8) {
        const int64_t left = ounce_min64(32, count - c);
        const __m256i inside = _mm256_and_si256(LOAD(__m256i, ones + 32 - left), _mm256_set1_epi8(3));
        const __m256i fields = _mm256_and_si256(LOAD(__m256i, in + c), inside);
        const __m256i code = _mm256_madd_epi16(_mm256_maddubs_epi16(fields, fours), sixteens);
        const __m256i offset = _mm256_slli_epi32(code, 4);
        const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(offset, offset), 0x08);
        if (left > 16) _mm_storeu_si128((__m128i *)to, _mm256_castsi256_si128(packed));
        else _mm_storel_epi64((__m128i *)to, _mm256_castsi256_si128(packed));
    }
    return 0;
}

#include "xnor_walk.h"
TARGET_END
#endif
