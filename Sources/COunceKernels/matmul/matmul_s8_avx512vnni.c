#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
#include "../vector.h"

#define OUNCE_BODY_ISA avx512vnni
#define S8_GROUP 4
#define S8_FLIP 0x80
#define S8_ROWS 6
#define S8_PANELS 4

typedef __m512i s8_word;
typedef __m512i s8_wide;

OUNCE_INLINE s8_wide s8_load(const char *from) { return _mm512_loadu_si512(from); }
OUNCE_INLINE s8_word s8_spread(const void *from) { return _mm512_set1_epi32(LOAD(int32_t, from)); }
OUNCE_INLINE v16i s8_dot(v16i acc, s8_word x, s8_wide w) { return (v16i)_mm512_dpbusd_epi32((__m512i)acc, x, w); }

#include "matmul_s8_tile.h"
#include "matmul_s8_body.h"
#include "../attention/attention_s8_body.h"
TARGET_END
#endif
