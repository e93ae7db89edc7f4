#if defined(__riscv) && __riscv_xlen == 64
#include "../target.h"

TARGET("arch=+v")
#include "bits.h"

#define OUNCE_BODY_ISA rvv
#define TILE_WIDE 2
#define TILE_NARROW 4
#define TILE_VARIANTS(V) V(1, 1) V(4, 1) V(1, 2) V(4, 2) V(1, 3) V(2, 3) V(1, 4) V(2, 4)

// There is no instruction for it.
OUNCE_INLINE v16ub count_set(v16ub x) {
    x = x - (x >> 1 & 0x55);
    x = (x & 0x33) + (x >> 2 & 0x33);
    return (x + (x >> 4)) & 0x0F;
}

#include "xnor_bytes_body.h"
TARGET_END
#endif
