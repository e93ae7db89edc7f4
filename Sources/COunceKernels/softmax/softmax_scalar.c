#include "../kernels.h"

size_t ounce_softmax_scratch(const void *params) {
    return (size_t)((const ounce_softmax_params *)params)->columns * sizeof(float);
}
int64_t ounce_softmax_units(const void *params) { return ((const ounce_softmax_params *)params)->rows; }

#define OUNCE_BODY_ISA scalar
#include "softmax_body.h"
