#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma,avxvnni")
#include "../vector.h"

// x + 128 is unsigned, as the instruction wants its first factor; the start values make up for it (tile_pack.c).
typedef __m256i in4;
typedef struct {
    __m256i half[2];
} acc16, w64;
OUNCE_INLINE acc16 acc_load(const void *p) { return LOAD(acc16, p); }
OUNCE_INLINE v16i acc_value(acc16 a) { return LOAD(v16i, &a); }
OUNCE_INLINE in4 in4_load(const int8_t *x) {
    return _mm256_xor_si256(_mm256_set1_epi32(LOAD(int32_t, x)), _mm256_set1_epi32((int32_t)0x80808080));
}
OUNCE_INLINE w64 w64_load(const char *w) { return LOAD(w64, w); }
OUNCE_INLINE acc16 dot(acc16 a, in4 x, w64 w) {
    return (acc16){{_mm256_dpbusd_avx_epi32(a.half[0], x, w.half[0]),
                    _mm256_dpbusd_avx_epi32(a.half[1], x, w.half[1])}};
}

#define OUNCE_BODY_ISA avxvnni
#define TILE_PANEL_BYTES(shape) s8_panel_bytes(shape, 4, 1)
#define TILE_WIDE 6
#define TILE_NARROW 6
#define TILE_GROUP 1
#define TILE_VARIANTS(V) V(1, 1) V(2, 1) V(4, 1) V(6, 1) V(1, 2) V(1, 3) V(1, 4)
#include "conv_s8_dot_body.h"
TARGET_END
#endif
