#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma")
#define OUNCE_BODY_ISA avx2
#define WALK_REGISTERS WALK_AVX
#define WALK_VARIANTS(V) V(1, 1) V(2, 1) V(3, 1) V(4, 1) V(5, 1) V(6, 1) V(1, 2) V(1, 3) V(1, 4)
#include "conv_f32_walk.h"
TARGET_END
#endif
