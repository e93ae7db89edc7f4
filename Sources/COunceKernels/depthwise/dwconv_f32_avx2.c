#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma")
#define OUNCE_BODY_ISA avx2
#define DEPTHWISE_TOGETHER 4
#include "dwconv_f32_body.h"
TARGET_END
#endif
