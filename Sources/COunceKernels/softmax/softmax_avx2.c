#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma")
#define OUNCE_INTERLEAVE 2
#define OUNCE_BODY_ISA avx2
#include "softmax_body.h"
TARGET_END
#endif
