#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma")
#include "../vector.h"

#define GROUP 2
#define POSITIONS 4
typedef struct {
    __m256i half[2];
} acc16, x64, w64;
OUNCE_INLINE acc16 acc_load(const void *p) { return LOAD(acc16, p); }
OUNCE_INLINE x64 x64_load(const char *x) { return LOAD(x64, x); }
OUNCE_INLINE w64 w64_load(const char *w) { return LOAD(w64, w); }
OUNCE_INLINE acc16 dot(acc16 a, x64 x, w64 w) {
    return (acc16){{_mm256_add_epi32(a.half[0], _mm256_madd_epi16(x.half[0], w.half[0])),
                    _mm256_add_epi32(a.half[1], _mm256_madd_epi16(x.half[1], w.half[1]))}};
}

OUNCE_INLINE void interleave(const int8_t *const taps[GROUP], int64_t count, char *to) {
    for (int64_t i = 0; i < count; i += 16, to += 64) {
        const __m128i a = LOAD(__m128i, taps[0] + i), b = LOAD(__m128i, taps[1] + i);
        _mm256_storeu_si256((__m256i *)to, _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(a, b)));
        _mm256_storeu_si256((__m256i *)(to + 32), _mm256_cvtepi8_epi16(_mm_unpackhi_epi8(a, b)));
    }
}

#define OUNCE_BODY_ISA avx2
#include "interleave_body.h"
TARGET_END
#endif
