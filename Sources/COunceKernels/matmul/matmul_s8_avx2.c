#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma")
#include "../vector.h"

#define OUNCE_BODY_ISA avx2
#define S8_GROUP 2
#define S8_ROWS 6
#define S8_PANELS 1

typedef __m256i s8_word;
typedef struct {
    __m256i half[2];
} s8_wide;

OUNCE_INLINE s8_wide s8_load(const char *from) {
    return (s8_wide){{LOAD(__m256i, from), LOAD(__m256i, from + 32)}};
}
OUNCE_INLINE s8_word s8_spread(const void *from) { return _mm256_set1_epi32(LOAD(int32_t, from)); }
OUNCE_INLINE v16i s8_dot(v16i acc, s8_word x, s8_wide w) {
    __m256i half[2];
    memcpy(half, &acc, sizeof acc);
    OUNCE_UNROLL for (int i = 0; i < 2; i++) half[i] = _mm256_add_epi32(half[i], _mm256_madd_epi16(x, w.half[i]));
    return LOAD(v16i, half);
}

#include "matmul_s8_tile.h"
#include "matmul_s8_body.h"
#include "../attention/attention_s8_body.h"
TARGET_END
#endif
