#if defined(__aarch64__)
#include "../target.h"

#define OUNCE_BODY_ISA neon
#define MATMUL_ROWS 6
#define MATMUL_PANELS 1
#include "../matmul/matmul_tile.h"
#include "attention_body.h"
#endif
