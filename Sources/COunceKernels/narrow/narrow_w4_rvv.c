#if defined(__riscv) && __riscv_xlen == 64
#define NARROW_BITS 4
#define NARROW_SUFFIX _w4
#include "narrow_rvv.h"
#endif
