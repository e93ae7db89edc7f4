#include "../kernels.h"
#include "../matmul/matmul_plain.h"

int64_t ounce_attention_units(const void *params) {
    const ounce_attention_params *p = params;
    return p->batch * ounce_ceil_div(p->m, MATMUL_TILE);
}
size_t ounce_attention_scratch(const void *params) {
    const ounce_attention_params *p = params;
    return (size_t)((MATMUL_TILE + 1) * p->n) * sizeof(float);
}

#define OUNCE_BODY_ISA scalar
#include "attention_body.h"
