#if defined(__x86_64__)
#include "../target.h"

#include "../vector.h"

TARGET("avx2,fma")
#define OUNCE_BODY_ISA avx2
typedef __m256i add_vector;
#define ADD_SPLAT32(x) _mm256_set1_epi32(x)
#define ADD_SPLAT16(x) _mm256_set1_epi16(x)
#define ADD_SPLAT8(x) _mm256_set1_epi8(x)
#define ADD_PRODUCTS(sum, x, w) _mm256_add_epi32(sum, _mm256_madd_epi16(x, w))
#define ADD_32 _mm256_add_epi32
#define ADD_16 _mm256_adds_epi16
#define ADD_SHIFT _mm256_sra_epi32
#define ADD_SHIFT_8(x) _mm256_srai_epi32(x, 8)
#define ADD_UNPACK_LOW _mm256_unpacklo_epi8
#define ADD_UNPACK_HIGH _mm256_unpackhi_epi8
#define ADD_PACK_32 _mm256_packs_epi32
#define ADD_PACK_16 _mm256_packs_epi16
#define ADD_MIN _mm256_min_epi8
#define ADD_MAX _mm256_max_epi8
#include "add_s8_x86.h"
TARGET_END
#endif
