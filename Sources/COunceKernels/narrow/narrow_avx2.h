// x + 128 is unsigned, as vpmaddubsw wants its first factor; the start values make up for it. A pair of products is at most
// 2 * 255 * 8 in size, so nothing saturates, and the eight of a block fit int16. Fields hold the weight plus half their
// range.
#include "../target.h"

TARGET("avx2,fma")
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
    return (blk16){{_mm256_add_epi16(a.half[0], _mm256_maddubs_epi16(x, w.half[0])),
                    _mm256_add_epi16(a.half[1], _mm256_maddubs_epi16(x, w.half[1]))}};
}
OUNCE_INLINE w64 unpack(const char *w, const int field) {
    w64 out;
    OUNCE_UNROLL for (int i = 0; i < 2; i++) {
        const __m256i low = _mm256_srli_epi16(LOAD(__m256i, w + 32 * i), NARROW_BITS * field);
        out.half[i] = _mm256_sub_epi8(_mm256_and_si256(low, _mm256_set1_epi8((1 << NARROW_BITS) - 1)),
                                      _mm256_set1_epi8(1 << (NARROW_BITS - 1)));
    }
    return out;
}
OUNCE_INLINE acc16 acc_add(acc16 a, blk16 sum, const char *factors) {
    OUNCE_UNROLL for (int i = 0; i < 2; i++) {
        const __m256i wide = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(factors + 8 * i)));
        const __m256i whole = _mm256_madd_epi16(sum.half[i], _mm256_set1_epi16(1));
        a.half[i] = _mm256_add_epi32(a.half[i], _mm256_mullo_epi32(whole, wide));
    }
    return a;
}

#define OUNCE_BODY_ISA avx2
#define TILE_WIDE 2
#define TILE_NARROW 2
#define TILE_GROUP 1
#define TILE_VARIANTS(V) V(1, 1) V(2, 1) V(1, 2) V(1, 3) V(1, 4)
#include "narrow_body.h"
TARGET_END
