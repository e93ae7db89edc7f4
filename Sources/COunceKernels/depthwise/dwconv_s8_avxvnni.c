#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma,avxvnni")
#include "../vector.h"

#define GROUP 4
#define POSITIONS 2
typedef struct {
    __m256i half[2];
} acc16, x64, w64;
OUNCE_INLINE acc16 acc_load(const void *p) { return LOAD(acc16, p); }
OUNCE_INLINE x64 x64_load(const char *x) { return LOAD(x64, x); }
OUNCE_INLINE w64 w64_load(const char *w) { return LOAD(w64, w); }
OUNCE_INLINE acc16 dot(acc16 a, x64 x, w64 w) {
    return (acc16){{_mm256_dpbusd_avx_epi32(a.half[0], x.half[0], w.half[0]),
                    _mm256_dpbusd_avx_epi32(a.half[1], x.half[1], w.half[1])}};
}

// Unpacking works inside each 128-bit lane, so the dwords of the two lanes are transposed before it. x + 128 is
// unsigned.
OUNCE_INLINE __m256i load_tap(const int8_t *from) {
    const __m256i loaded = LOAD(__m256i, from), shifted = _mm256_xor_si256(loaded, _mm256_set1_epi8(-128));
    return _mm256_permutevar8x32_epi32(shifted, _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7));
}
OUNCE_INLINE void interleave(const int8_t *const taps[GROUP], int64_t count, char *to) {
    for (int64_t i = 0; i < count; i += 32, to += 128) {
        const __m256i a = load_tap(taps[0] + i), b = load_tap(taps[1] + i);
        const __m256i c = load_tap(taps[2] + i), d = load_tap(taps[3] + i);
        const __m256i low_ab = _mm256_unpacklo_epi8(a, b), high_ab = _mm256_unpackhi_epi8(a, b);
        const __m256i low_cd = _mm256_unpacklo_epi8(c, d), high_cd = _mm256_unpackhi_epi8(c, d);
        _mm256_storeu_si256((__m256i *)to, _mm256_unpacklo_epi16(low_ab, low_cd));
        _mm256_storeu_si256((__m256i *)(to + 32), _mm256_unpackhi_epi16(low_ab, low_cd));
        _mm256_storeu_si256((__m256i *)(to + 64), _mm256_unpacklo_epi16(high_ab, high_cd));
        _mm256_storeu_si256((__m256i *)(to + 96), _mm256_unpackhi_epi16(high_ab, high_cd));
    }
}

#define OUNCE_BODY_ISA avxvnni
#include "interleave_body.h"
TARGET_END
#endif
