#include "../kernels.h"

int64_t ounce_quantize_units(const void *params) {
    return ounce_chunks(((const ounce_quantize_params *)params)->count);
}

#define OUNCE_BODY_ISA scalar
#include "quantize_body.h"
