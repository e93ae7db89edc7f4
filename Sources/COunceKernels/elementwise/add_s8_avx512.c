#if defined(__x86_64__)
#include "../target.h"

#include "../vector.h"

TARGET("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
#define OUNCE_BODY_ISA avx512vnni
typedef __m512i add_vector;
#define ADD_SPLAT32(x) _mm512_set1_epi32(x)
#define ADD_SPLAT16(x) _mm512_set1_epi16(x)
#define ADD_SPLAT8(x) _mm512_set1_epi8(x)
#define ADD_PRODUCTS(sum, x, w) _mm512_dpwssd_epi32(sum, x, w)
#define ADD_32 _mm512_add_epi32
#define ADD_16 _mm512_adds_epi16
#define ADD_SHIFT _mm512_sra_epi32
#define ADD_SHIFT_8(x) _mm512_srai_epi32(x, 8)
#define ADD_UNPACK_LOW _mm512_unpacklo_epi8
#define ADD_UNPACK_HIGH _mm512_unpackhi_epi8
#define ADD_PACK_32 _mm512_packs_epi32
#define ADD_PACK_16 _mm512_packs_epi16
#define ADD_MIN _mm512_min_epi8
#define ADD_MAX _mm512_max_epi8
#include "add_s8_x86.h"
TARGET_END
#endif
