#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma")
#define OUNCE_BODY_ISA avx2
#define TILE_WIDE 6
#define TILE_NARROW 6
#define TILE_GROUP 1
#define TILE_VARIANTS(V) V(1, 1) V(2, 1) V(4, 1) V(6, 1) V(1, 2) V(1, 3) V(1, 4)
#include "conv_f32_body.h"
TARGET_END
#endif
