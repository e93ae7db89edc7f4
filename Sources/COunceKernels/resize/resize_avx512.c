#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
#define OUNCE_BODY_ISA avx512vnni
#include "resize_body.h"
TARGET_END
#endif
