#if defined(__x86_64__)
#include "../target.h"
#include "training.h"

TARGET("avx2,fma")
#define TRAINING_FMA
#define GEMM_ROWS 6
#define GEMM_VECTORS 1
#define GRADIENT_ROWS 6
#define GRADIENT_VECTORS 1
#include "training_body.h"
TARGET_END
TRAINING_TABLE(ounce_training_avx2, OUNCE_ISA_AVX2)
#endif
