#if defined(__riscv) && __riscv_xlen == 64
#include "../target.h"

TARGET("arch=+v")
#define OUNCE_BODY_ISA rvv
#define RECURRENT_ACCUMULATORS 4  // sixteen lanes take four registers of 128 bits
#include "recurrent_body.h"
TARGET_END
#endif
