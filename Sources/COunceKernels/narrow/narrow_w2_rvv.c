#if defined(__riscv) && __riscv_xlen == 64
#define NARROW_BITS 2
#define NARROW_SUFFIX _w2
#include "narrow_rvv.h"
#endif
