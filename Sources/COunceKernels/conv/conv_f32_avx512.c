#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
#define OUNCE_BODY_ISA avx512vnni
#define WALK_REGISTERS WALK_AVX512_F32
#define WALK_VARIANTS(V)                                                                      \
    V(1, 1) V(4, 1) V(8, 1) V(12, 1) V(16, 1) V(1, 2) V(2, 2) V(3, 2) V(4, 2) V(5, 2) V(6, 2) \
    V(7, 2) V(8, 2) V(9, 2) V(10, 2) V(11, 2) V(12, 2) V(13, 2) V(14, 2) V(1, 3) V(1, 4)
#include "conv_f32_walk.h"
TARGET_END
#endif
