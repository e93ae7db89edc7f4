#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma,avxvnni")
#include "../vector.h"

// Rows hold x + 128, unsigned as the instruction wants its first factor; the start values make up for it.
#define SPARSE_ROW 64
#define SPARSE_VECTORS 2
typedef __m256i block4;
typedef struct {
    __m256i half[2];
} acc16;
OUNCE_INLINE void row_store(char *to, v16i row) {
    const v16i flipped = row ^ (int32_t)0x80808080;
    memcpy(to, &flipped, sizeof flipped);
}
OUNCE_INLINE acc16 acc_splat(int32_t x) { return (acc16){{_mm256_set1_epi32(x), _mm256_set1_epi32(x)}}; }
OUNCE_INLINE v16i acc_value(acc16 a) { return LOAD(v16i, &a); }
OUNCE_INLINE acc16 acc_add(acc16 a, acc16 b) {
    return (acc16){{_mm256_add_epi32(a.half[0], b.half[0]), _mm256_add_epi32(a.half[1], b.half[1])}};
}
OUNCE_INLINE block4 block_load(const int32_t *weights) { return _mm256_set1_epi32(*weights); }
OUNCE_INLINE acc16 block_dot(acc16 a, const char *x, block4 w) {
    return (acc16){{_mm256_dpbusd_avx_epi32(a.half[0], LOAD(__m256i, x), w),
                    _mm256_dpbusd_avx_epi32(a.half[1], LOAD(__m256i, x + 32), w)}};
}

#define OUNCE_BODY_ISA avxvnni
#include "sparse_s8_body.h"
TARGET_END
#endif
