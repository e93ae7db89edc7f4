#if defined(__aarch64__)
#include "../target.h"

#define OUNCE_BODY_ISA neon
#include "sparse_f32_body.h"
#endif
