#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
#define ADD_S8_AVX512
#define OUNCE_INTERLEAVE 4
#define OUNCE_BODY_ISA avx512vnni
#include "elementwise_body.h"
TARGET_END
#endif
