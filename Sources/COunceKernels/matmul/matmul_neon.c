#if defined(__aarch64__)
#include "../target.h"

#define OUNCE_BODY_ISA neon
#define MATMUL_ROWS 6
#define MATMUL_PANELS 1
#include "matmul_tile.h"
#include "matmul_body.h"
#endif
