// Winograd's convolution with vpdpwssd, which adds the products of pairs of int16 too.
#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma,avxvnni")
#include "../vector.h"

#define OUNCE_BODY_ISA avxvnni
OUNCE_INLINE __m256i dot(__m256i a, __m256i x, __m256i w) { return _mm256_dpwssd_avx_epi32(a, x, w); }
#include "winograd_half_body.h"
TARGET_END
#endif
