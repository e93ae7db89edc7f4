#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
#define OUNCE_BODY_ISA avx512vnni
#define TILE_WIDE 6
#define TILE_NARROW 12
#define TILE_GROUP 4
#define TILE_VARIANTS(V) \
    V(1, 1) V(3, 1) V(6, 1) V(12, 1) V(1, 2) V(3, 2) V(6, 2) V(12, 2) V(1, 3) V(3, 3) V(6, 3) V(1, 4) V(3, 4) V(6, 4)
#include "conv_f32_body.h"
TARGET_END
#endif
