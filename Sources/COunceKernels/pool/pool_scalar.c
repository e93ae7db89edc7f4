#include "../kernels.h"

int64_t ounce_pool_units(const void *params) {
    const ounce_pool_params *p = params;
    return (int64_t)p->batch * p->out_h * p->out_w;
}

#define OUNCE_BODY_ISA scalar
#include "pool_body.h"
