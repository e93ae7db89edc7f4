#if defined(__aarch64__)
#include "../target.h"

#define OUNCE_BODY_ISA neon
#define S8_ROWS 6
#define S8_PANELS 1
#include "matmul_s8_products.h"
#endif
