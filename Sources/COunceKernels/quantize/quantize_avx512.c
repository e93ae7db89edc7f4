#if defined(__x86_64__)
#include "../target.h"

#include "../vector.h"

TARGET("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
#define OUNCE_BODY_ISA avx512vnni
#define QUANTIZE_VECTORS
typedef __m512 quantize_floats;
typedef __m512i quantize_bytes;
#define QUANTIZE_SPLAT _mm512_set1_ps
#define QUANTIZE_SPLAT_16 _mm512_set1_epi16
#define QUANTIZE_MIN _mm512_min_ps
#define QUANTIZE_CONVERT(v) _mm512_maskz_cvtps_epi32(_mm512_cmp_ps_mask(v, v, _CMP_ORD_Q), v)
#define QUANTIZE_PACK_32 _mm512_packs_epi32
#define QUANTIZE_PACK_16 _mm512_packs_epi16
#define QUANTIZE_ADD_16 _mm512_adds_epi16
#define QUANTIZE_ORDER(x) \
    _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), x)
#include "quantize_x86.h"

#include "quantize_body.h"
TARGET_END
#endif
