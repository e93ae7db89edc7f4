#if defined(__riscv) && __riscv_xlen == 64
#include "../target.h"

TARGET("arch=+v")
#define OUNCE_BODY_ISA rvv
#define MATMUL_ROWS 6
#define MATMUL_PANELS 1
#include "matmul_tile.h"
#include "matmul_body.h"
TARGET_END
#endif
