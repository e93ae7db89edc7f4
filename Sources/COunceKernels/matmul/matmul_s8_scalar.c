#include "../kernels.h"
#include "../attention/attention_s8.h"

size_t ounce_matmul_s8_scratch(const void *params) {
    const ounce_matmul_s8_params *p = params;
    return matmul_s8_tile_bytes(p->k) + matmul_s8_column_bytes(p->k, p->n);
}
int64_t ounce_matmul_s8_units(const void *params) {
    const ounce_matmul_s8_params *p = params;
    return p->batch * ounce_ceil_div(p->m, MATMUL_S8_TILE);
}
size_t ounce_attention_s8_scratch(const void *params) { return make_attention_s8_scratch(params, NULL).bytes; }
int64_t ounce_attention_s8_units(const void *params) {
    const ounce_attention_s8_params *p = params;
    return p->batch * ounce_ceil_div(p->m, MATMUL_S8_TILE);
}

#define OUNCE_BODY_ISA scalar
#define S8_ROWS 1
#define S8_PANELS 1
#include "matmul_s8_products.h"
