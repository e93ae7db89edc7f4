#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
#include "../vector.h"

#define GROUP 4
#define POSITIONS 4
typedef __m512i acc16, x64, w64;
OUNCE_INLINE acc16 acc_load(const void *p) { return _mm512_loadu_si512(p); }
OUNCE_INLINE v16i acc_value(acc16 a) { return (v16i)a; }
OUNCE_INLINE x64 x64_load(const char *x) { return _mm512_loadu_si512(x); }
OUNCE_INLINE w64 w64_load(const char *w) { return _mm512_loadu_si512(w); }
OUNCE_INLINE acc16 dot(acc16 a, x64 x, w64 w) { return _mm512_dpbusd_epi32(a, x, w); }

// Unpacking works inside each 128-bit lane, so the dwords of the four lanes are transposed before it. x + 128 is
// unsigned.
OUNCE_INLINE __m512i load_tap(const int8_t *from) {
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i shifted = _mm512_xor_si512(_mm512_loadu_si512(from), _mm512_set1_epi8(-128));
    return _mm512_permutexvar_epi32(order, shifted);
}
OUNCE_INLINE void interleave(const int8_t *const taps[GROUP], int64_t count, char *to) {
    for (int64_t i = 0; i < count; i += 64, to += 256) {
        const __m512i a = load_tap(taps[0] + i), b = load_tap(taps[1] + i);
        const __m512i c = load_tap(taps[2] + i), d = load_tap(taps[3] + i);
        const __m512i low_ab = _mm512_unpacklo_epi8(a, b), high_ab = _mm512_unpackhi_epi8(a, b);
        const __m512i low_cd = _mm512_unpacklo_epi8(c, d), high_cd = _mm512_unpackhi_epi8(c, d);
        _mm512_storeu_si512(to, _mm512_unpacklo_epi16(low_ab, low_cd));
        _mm512_storeu_si512(to + 64, _mm512_unpackhi_epi16(low_ab, low_cd));
        _mm512_storeu_si512(to + 128, _mm512_unpacklo_epi16(high_ab, high_cd));
        _mm512_storeu_si512(to + 192, _mm512_unpackhi_epi16(high_ab, high_cd));
    }
}

#define OUNCE_BODY_ISA avx512vnni
#include "interleave_body.h"
TARGET_END
#endif
