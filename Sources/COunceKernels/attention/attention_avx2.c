#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma")
#define OUNCE_INTERLEAVE 2
#define OUNCE_BODY_ISA avx2
#define MATMUL_ROWS 6
#define MATMUL_PANELS 1
#include "../matmul/matmul_tile.h"
#include "attention_body.h"
TARGET_END
#endif
