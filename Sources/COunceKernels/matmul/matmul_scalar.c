#include "../kernels.h"
#include "matmul_plain.h"

int64_t ounce_matmul_units(const void *params) {
    const ounce_matmul_params *p = params;
    return p->batch * ounce_ceil_div(p->m, MATMUL_TILE);
}

#define OUNCE_BODY_ISA scalar
#include "matmul_body.h"
