#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
#define OUNCE_INTERLEAVE 4
#define OUNCE_BODY_ISA avx512vnni
#include "softmax_body.h"
TARGET_END
#endif
