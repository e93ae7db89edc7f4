#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
#include "../vector.h"

// x + 128 is unsigned, as the instruction wants its first factor; the start values make up for it (tile_pack.c).
typedef __m512i acc16, in4, w64;
OUNCE_INLINE acc16 acc_load(const void *p) { return _mm512_loadu_si512(p); }
OUNCE_INLINE v16i acc_value(acc16 a) { return (v16i)a; }
OUNCE_INLINE in4 in4_load(const int8_t *x) {
    return _mm512_xor_si512(_mm512_set1_epi32(LOAD(int32_t, x)), _mm512_set1_epi32((int32_t)0x80808080));
}
OUNCE_INLINE w64 w64_load(const char *w) { return _mm512_loadu_si512(w); }
OUNCE_INLINE acc16 dot(acc16 a, in4 x, w64 w) { return _mm512_dpbusd_epi32(a, x, w); }

#define OUNCE_BODY_ISA avx512vnni
#define TILE_PANEL_BYTES(shape) s8_panel_bytes(shape, 4, 1)
#define TILE_WIDE 6
#define TILE_NARROW 12
#define TILE_GROUP 4
#define TILE_VARIANTS(V) \
    V(1, 1) V(3, 1) V(6, 1) V(12, 1) V(1, 2) V(3, 2) V(6, 2) V(12, 2) V(1, 3) V(3, 3) V(6, 3) V(1, 4) V(3, 4) V(6, 4)
#include "conv_s8_dot_body.h"
TARGET_END
#endif
