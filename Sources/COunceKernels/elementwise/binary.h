// The box of an OUNCE_BINARY_F32 step: operands 0 and 1 are the inputs, 2 the output.
#ifndef OUNCE_BINARY_H
#define OUNCE_BINARY_H

#include "../box.h"

OUNCE_INLINE ounce_box ounce_binary_box(const ounce_binary_params *p) {
    ounce_box box = {0};
    int64_t out_stride[OUNCE_MAX_RANK], stride = 1;
    for (int axis = p->rank - 1; axis >= 0; axis--) {
        out_stride[axis] = stride;
        stride *= p->extent[axis];
    }
    for (int axis = 0; axis < p->rank; axis++) {
        ounce_box_append(&box, p->extent[axis], p->stride[0][axis], p->stride[1][axis], out_stride[axis]);
    }
    ounce_box_finish(&box);
    return box;
}

#endif
