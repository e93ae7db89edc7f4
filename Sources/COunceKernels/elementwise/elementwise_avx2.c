#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma")
#define ADD_S8_AVX2
#define OUNCE_INTERLEAVE 2
#define OUNCE_BODY_ISA avx2
#include "elementwise_body.h"
TARGET_END
#endif
