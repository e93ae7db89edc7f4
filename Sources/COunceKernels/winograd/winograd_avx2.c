// Winograd's convolution with vpmaddwd, which multiplies pairs of int16 exactly into int32.
#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma")
#include "../vector.h"

#define OUNCE_BODY_ISA avx2
OUNCE_INLINE __m256i dot(__m256i a, __m256i x, __m256i w) { return _mm256_add_epi32(a, _mm256_madd_epi16(x, w)); }
#include "winograd_half_body.h"
TARGET_END
#endif
