#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma")
#define OUNCE_BODY_ISA avx2
#include "resize_body.h"
TARGET_END
#endif
