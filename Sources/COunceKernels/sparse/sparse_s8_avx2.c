// Without dot products of four: the bytes of a row are widened to int16 pairs (elements 0 and 2, then 1 and 3), and
// vpmaddwd multiplies pairs exactly.
#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma")
#include "../vector.h"

#define SPARSE_ROW 128
#define SPARSE_VECTORS 2
typedef struct {
    __m256i half[2];
} acc16;
typedef struct {
    __m256i even, odd;
} block4;
OUNCE_INLINE __m256i even_pair(__m256i x) { return _mm256_srai_epi16(_mm256_slli_epi16(x, 8), 8); }
OUNCE_INLINE __m256i odd_pair(__m256i x) { return _mm256_srai_epi16(x, 8); }
OUNCE_INLINE void row_store(char *to, v16i row) {
    for (int half = 0; half < 2; half++) {
        const __m256i x = LOAD(__m256i, (const char *)&row + 32 * half);
        _mm256_storeu_si256((__m256i *)(to + 64 * half), even_pair(x));
        _mm256_storeu_si256((__m256i *)(to + 64 * half + 32), odd_pair(x));
    }
}
OUNCE_INLINE acc16 acc_splat(int32_t x) { return (acc16){{_mm256_set1_epi32(x), _mm256_set1_epi32(x)}}; }
OUNCE_INLINE v16i acc_value(acc16 a) { return LOAD(v16i, &a); }
OUNCE_INLINE acc16 acc_add(acc16 a, acc16 b) {
    return (acc16){{_mm256_add_epi32(a.half[0], b.half[0]), _mm256_add_epi32(a.half[1], b.half[1])}};
}
OUNCE_INLINE block4 block_load(const int32_t *weights) {
    const __m256i w = _mm256_set1_epi32(*weights);
    return (block4){even_pair(w), odd_pair(w)};
}
OUNCE_INLINE acc16 block_dot(acc16 a, const char *x, block4 w) {
    OUNCE_UNROLL for (int half = 0; half < 2; half++) {
        const char *at = x + 64 * half;
        a.half[half] = _mm256_add_epi32(a.half[half], _mm256_madd_epi16(LOAD(__m256i, at), w.even));
        a.half[half] = _mm256_add_epi32(a.half[half], _mm256_madd_epi16(LOAD(__m256i, at + 32), w.odd));
    }
    return a;
}

#define OUNCE_BODY_ISA avx2
#include "sparse_s8_body.h"
TARGET_END
#endif
