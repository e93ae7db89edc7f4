#if defined(__aarch64__)
#include "../target.h"

#include "bits.h"

#define OUNCE_BODY_ISA neon
#define TILE_WIDE 4
#define TILE_NARROW 6
#define TILE_VARIANTS(V) V(1, 1) V(3, 1) V(6, 1) V(1, 2) V(3, 2) V(6, 2) V(1, 3) V(4, 3) V(1, 4) V(4, 4)

OUNCE_INLINE v16ub count_set(v16ub x) { return (v16ub)vcntq_u8((uint8x16_t)x); }

#include "xnor_bytes_body.h"
#endif
