#if defined(__x86_64__)
#include "../target.h"

#include "../vector.h"

TARGET("avx2,fma")
#define OUNCE_BODY_ISA avx2
#define QUANTIZE_VECTORS
typedef __m256 quantize_floats;
typedef __m256i quantize_bytes;
OUNCE_INLINE __m256i quantize_convert(__m256 v) {
    return _mm256_cvtps_epi32(_mm256_and_ps(v, _mm256_cmp_ps(v, v, _CMP_ORD_Q)));
}
#define QUANTIZE_SPLAT _mm256_set1_ps
#define QUANTIZE_SPLAT_16 _mm256_set1_epi16
#define QUANTIZE_MIN _mm256_min_ps
#define QUANTIZE_CONVERT quantize_convert
#define QUANTIZE_PACK_32 _mm256_packs_epi32
#define QUANTIZE_PACK_16 _mm256_packs_epi16
#define QUANTIZE_ADD_16 _mm256_adds_epi16
#define QUANTIZE_ORDER(x) _mm256_permutevar8x32_epi32(x, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7))
#include "quantize_x86.h"

#include "quantize_body.h"
TARGET_END
#endif
