#if defined(__riscv) && __riscv_xlen == 64
#include "../target.h"

TARGET("arch=+v")
#define OUNCE_BODY_ISA rvv
#include "copy_body.h"
TARGET_END
#endif
