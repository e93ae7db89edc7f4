#if defined(__x86_64__)
#include "../target.h"
#include "training.h"

TARGET("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
#define TRAINING_FMA
#define GEMM_ROWS 12
#define GEMM_VECTORS 2
#define GRADIENT_ROWS 8
#define GRADIENT_VECTORS 3
#include "training_body.h"
TARGET_END
TRAINING_TABLE(ounce_training_avx512, OUNCE_ISA_AVX512VNNI)
#endif
