#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
#include "../vector.h"

// Rows hold x + 128, unsigned as the instruction wants its first factor; the start values make up for it.
#define SPARSE_ROW 64
#define SPARSE_VECTORS 4
typedef __m512i acc16, block4;
OUNCE_INLINE void row_store(char *to, v16i row) {
    _mm512_storeu_si512(to, _mm512_xor_si512((__m512i)row, _mm512_set1_epi32((int32_t)0x80808080)));
}
OUNCE_INLINE acc16 acc_splat(int32_t x) { return _mm512_set1_epi32(x); }
OUNCE_INLINE v16i acc_value(acc16 a) { return (v16i)a; }
OUNCE_INLINE acc16 acc_add(acc16 a, acc16 b) { return _mm512_add_epi32(a, b); }
OUNCE_INLINE block4 block_load(const int32_t *weights) { return _mm512_set1_epi32(*weights); }
OUNCE_INLINE acc16 block_dot(acc16 a, const char *x, block4 w) {
    return _mm512_dpbusd_epi32(a, _mm512_loadu_si512(x), w);
}

#define OUNCE_BODY_ISA avx512vnni
#include "sparse_s8_body.h"
TARGET_END
#endif
