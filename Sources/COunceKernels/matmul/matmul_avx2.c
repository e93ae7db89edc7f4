#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma")
#define OUNCE_BODY_ISA avx2
#define MATMUL_ROWS 6
#define MATMUL_PANELS 1
#include "matmul_tile.h"
#include "matmul_body.h"
TARGET_END
#endif
