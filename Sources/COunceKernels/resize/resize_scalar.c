#include "../kernels.h"

int64_t ounce_resize_units(const void *params) {
    const ounce_resize_params *p = params;
    return p->outer * p->axis[0].out;
}

// What comes of axis 0, as floats, with room for a whole vector behind them.
size_t ounce_resize_scratch(const void *params) {
    const ounce_resize_params *p = params;
    if (p->axis[1].taps == 0 || !p->axis[1].weights) return 0;
    return (size_t)(p->axis[1].in * p->inner) * sizeof(float) + OUNCE_SLACK;
}

#define OUNCE_BODY_ISA scalar
#include "resize_body.h"
