// Int8 convolution without dot products of four: the windows of a tile's pixels are widened to int16, and vpmaddwd
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

// The windows of the pixels, widened; those of neighbours are one. Whole vectors are written.
static void gather(const ounce_call *call, const conv_walk *w, const int16_t **x, int64_t count) {
    const ounce_conv_params *p = call->params;
    const int64_t step = p->stride_w * p->in_pixel;
    const int64_t window = (int64_t)(p->kernel_w - 1) * p->dilation_w * p->in_pixel + p->in_c;
    int16_t *to = call->scratch;
    for (int64_t m = 0, next; m < count; m = next) {
        const int8_t *from = (const int8_t *)x[m];
        next = m + 1;
        const int64_t end = ounce_min64(count, m + p->out_w);
        while (next < end && (const int8_t *)x[next] == from + (next - m) * step) next++;
        const int64_t length = (next - m - 1) * step + window;
        for (int64_t i = m; i < next; i++) x[i] = to + (i - m) * step;
        for (int64_t ky = 0; ky < w->rows; ky++, from += p->dilation_h * p->in_row, to += w->row_step) {
            for (int64_t k = 0; k < length; k += 16) {
                const __m256i wide = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(from + k)));
                _mm256_storeu_si256((__m256i *)(to + k), wide);
            }
        }
    }
    for (int64_t m = count; m < WALK_PIXELS; m++) x[m] = x[count - 1];
}

void ounce_conv_s8_avx2(const ounce_call *call, int64_t begin, int64_t end) {
    const conv_walk w = s8_pairs_walk(call->params, WALK_AVX);
    walk_units(call, &w, begin, end);
}
TARGET_END
#endif
