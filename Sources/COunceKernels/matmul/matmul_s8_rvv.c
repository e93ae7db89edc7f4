#if defined(__riscv) && __riscv_xlen == 64
#include "../target.h"

TARGET("arch=+v")
#define OUNCE_BODY_ISA rvv
#define S8_ROWS 4
#define S8_PANELS 1
#include "matmul_s8_products.h"
TARGET_END
#endif
