#if defined(__aarch64__)
#include "../target.h"

#define OUNCE_BODY_ISA neon
#define DEPTHWISE_TOGETHER 4
#include "dwconv_f32_body.h"
#endif
