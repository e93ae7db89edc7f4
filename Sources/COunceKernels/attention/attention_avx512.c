#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
#define OUNCE_INTERLEAVE 4
#define OUNCE_BODY_ISA avx512vnni
#define MATMUL_ROWS 6
#define MATMUL_PANELS 4
#include "../matmul/matmul_tile.h"
#include "attention_body.h"
TARGET_END
#endif
