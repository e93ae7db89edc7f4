#if defined(__riscv) && __riscv_xlen == 64
#include "../target.h"

TARGET("arch=+v")
#define OUNCE_BODY_ISA rvv
#define MATMUL_ROWS 6
#define MATMUL_PANELS 1
#include "../matmul/matmul_tile.h"
#include "attention_body.h"
TARGET_END
#endif
