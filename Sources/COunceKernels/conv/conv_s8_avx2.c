// Int8 convolution without dot products of four: the input pixels of a tile are gathered as int16, and vpmaddwd
// multiplies pairs exactly (also -128 by -128) into int32.
#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma")
#include "../vector.h"

#define WALK_GATHERED int16_t
#define PER_WORD 2
OUNCE_INLINE __m256i constant(void) { return _mm256_setzero_si256(); }
OUNCE_INLINE __m256i inputs(const int16_t *x, __m256i none) {
    (void)none;
    return _mm256_set1_epi32(LOAD(int32_t, x));
}
OUNCE_INLINE __m256i dot(__m256i a, __m256i x, __m256i w) { return _mm256_add_epi32(a, _mm256_madd_epi16(x, w)); }

#include "conv_s8_half_body.h"

// The kernel places of each pixel, end to end, widened. Whole vectors are written: a row has room for them.
static void gather(const ounce_call *call, const int16_t **x, int64_t count) {
    const ounce_conv_params *p = call->params;
    const int whole_rows = p->dilation_w == 1 && p->in_pixel == p->in_c;
    const int64_t columns = whole_rows ? 1 : p->kernel_w, length = whole_rows ? (int64_t)p->kernel_w * p->in_c : p->in_c;
    int16_t *row = call->scratch;
    for (int64_t m = 0; m < count; m++, row += s8_pairs_row(p)) {
        const int8_t *in = (const int8_t *)x[m];
        int16_t *to = row;
        for (int64_t ky = 0; ky < p->kernel_h; ky++, in += p->dilation_h * p->in_row) {
            for (int64_t kx = 0; kx < columns; kx++, to += length) {
                const int8_t *from = in + kx * p->dilation_w * p->in_pixel;
                for (int64_t k = 0; k < length; k += 16) {
                    const __m256i wide = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(from + k)));
                    _mm256_storeu_si256((__m256i *)(to + k), wide);
                }
            }
        }
        x[m] = row;
    }
    for (int64_t m = count; m < WALK_PIXELS; m++) x[m] = x[count - 1];
}

void ounce_conv_s8_avx2(const ounce_call *call, int64_t begin, int64_t end) {
    const conv_walk w = s8_pairs_walk(call->params, WALK_AVX);
    walk_units(call, &w, begin, end);
}
TARGET_END
#endif
