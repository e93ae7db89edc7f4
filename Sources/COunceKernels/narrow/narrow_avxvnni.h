// As with AVX-512, in halves.
#include "../target.h"

TARGET("avx2,fma,avxvnni")
#include "narrow.h"

typedef __m256i in4;
typedef struct {
    __m256i half[2];
} acc16, blk16, w64;
OUNCE_INLINE acc16 acc_load(const void *p) { return LOAD(acc16, p); }
OUNCE_INLINE v16i acc_value(acc16 a) { return LOAD(v16i, &a); }
OUNCE_INLINE in4 in4_load(const int8_t *x) {
    return _mm256_xor_si256(_mm256_set1_epi32(LOAD(int32_t, x)), _mm256_set1_epi32((int32_t)0x80808080));
}
OUNCE_INLINE blk16 blk_zero(void) { return (blk16){{_mm256_setzero_si256(), _mm256_setzero_si256()}}; }
OUNCE_INLINE blk16 blk_dot(blk16 a, in4 x, w64 w) {
    return (blk16){{_mm256_dpbusd_avx_epi32(a.half[0], x, w.half[0]), _mm256_dpbusd_avx_epi32(a.half[1], x, w.half[1])}};
}
OUNCE_INLINE w64 unpack(const char *w, const int field) {
    w64 out;
    OUNCE_UNROLL for (int i = 0; i < 2; i++) {
        const __m256i top = _mm256_slli_epi16(LOAD(__m256i, w + 32 * i), 8 - NARROW_BITS * (field + 1));
        out.half[i] = _mm256_and_si256(top, _mm256_set1_epi8((char)(0xFF << (8 - NARROW_BITS))));
    }
    return out;
}
OUNCE_INLINE acc16 acc_add(acc16 a, blk16 sum, const char *factors) {
    OUNCE_UNROLL for (int i = 0; i < 2; i++) {
        const __m256i wide = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(factors + 8 * i)));
        const __m256i whole = _mm256_srai_epi32(sum.half[i], 8 - NARROW_BITS);
        a.half[i] = _mm256_add_epi32(a.half[i], _mm256_mullo_epi32(whole, wide));
    }
    return a;
}

#define OUNCE_BODY_ISA avxvnni
#define TILE_WIDE 2
#define TILE_NARROW 4
#define TILE_GROUP 1
#define TILE_VARIANTS(V) V(1, 1) V(2, 1) V(4, 1) V(1, 2) V(1, 3) V(1, 4)
#include "narrow_body.h"
TARGET_END
