#include "../kernels.h"

int64_t ounce_layernorm_units(const void *params) { return ((const ounce_layernorm_params *)params)->rows; }

#define OUNCE_BODY_ISA scalar
#include "layernorm_body.h"
