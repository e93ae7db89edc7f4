// The baseline: SSE2 on x86-64, Advanced SIMD on ARM64.
#include "../common.h"
#include "training.h"

#if defined(__aarch64__)
#define GEMM_ROWS 6
#define GRADIENT_ROWS 6
#else
#define GEMM_ROWS 3
#define GRADIENT_ROWS 3
#endif
#define GEMM_VECTORS 1
#define GRADIENT_VECTORS 1
#include "training_body.h"
TRAINING_TABLE(ounce_training_portable, OUNCE_ISA_SCALAR)

const ounce_training_kernels *ounce_training(ounce_isa isa) {
#if defined(__x86_64__)
    if (isa == OUNCE_ISA_AVX512VNNI) return &ounce_training_avx512;
    if (isa == OUNCE_ISA_AVX2 || isa == OUNCE_ISA_AVXVNNI) return &ounce_training_avx2;
#endif
    (void)isa;
    return &ounce_training_portable;
}
