// Rows of x + 128, unsigned as the instruction wants its first factor; the start values make up for it. Fields are used
// where they stand at the top of their byte: 2^(8 - bits) times the weight.
#include "../target.h"

TARGET("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
#include "narrow.h"

typedef __m512i acc16, blk16, in4, w64;
OUNCE_INLINE acc16 acc_load(const void *p) { return _mm512_loadu_si512(p); }
OUNCE_INLINE v16i acc_value(acc16 a) { return (v16i)a; }
OUNCE_INLINE in4 in4_load(const int8_t *x) {
    return _mm512_xor_si512(_mm512_set1_epi32(LOAD(int32_t, x)), _mm512_set1_epi32((int32_t)0x80808080));
}
OUNCE_INLINE blk16 blk_zero(void) { return _mm512_setzero_si512(); }
OUNCE_INLINE blk16 blk_dot(blk16 a, in4 x, w64 w) { return _mm512_dpbusd_epi32(a, x, w); }
OUNCE_INLINE w64 unpack(const char *w, const int field) {
    const __m512i raw = _mm512_loadu_si512(w);
    const __m512i top = _mm512_slli_epi16(raw, 8 - NARROW_BITS * (unsigned)(field + 1));
    return _mm512_and_si512(top, _mm512_set1_epi8((char)(0xFF << (8 - NARROW_BITS))));
}
OUNCE_INLINE acc16 acc_add(acc16 a, blk16 sum, const char *factors) {
    const __m512i wide = _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)factors));
    return _mm512_add_epi32(a, _mm512_mullo_epi32(_mm512_srai_epi32(sum, 8 - NARROW_BITS), wide));
}

#define OUNCE_BODY_ISA avx512vnni
#define TILE_WIDE 4
#define TILE_NARROW 4
#define TILE_GROUP 2
#define TILE_VARIANTS(V) V(1, 1) V(2, 1) V(4, 1) V(1, 2) V(2, 2) V(4, 2) V(1, 3) V(1, 4)
#include "narrow_body.h"
TARGET_END
