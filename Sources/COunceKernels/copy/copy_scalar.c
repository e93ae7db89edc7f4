// Moves elements between two strided boxes. A unit is a chunk of the inner axis; a copy with fill is one unit.
#include "../kernels.h"

#include "../box.h"

static ounce_box make_box(const ounce_copy_params *p) {
    ounce_box box = {0};
    for (int axis = 0; axis < p->rank; axis++) {
        ounce_box_append(&box, p->extent[axis], p->in_stride[axis], p->out_stride[axis], 0);
        // Operand 2 is not there: let it never keep axes from joining.
        box.stride[2][box.rank > 0 ? box.rank - 1 : 0] = 0;
    }
    ounce_box_finish(&box);
    return box;
}

int64_t ounce_copy_units(const void *params) {
    const ounce_copy_params *p = params;
    if (p->fill_count > 0) return 1;
    const ounce_box box = make_box(p);
    return ounce_box_units(&box);
}

#define MOVE(bits)                                                                                         \
    static void fill##bits(void *out, int64_t n, uint64_t value) {                                         \
        for (int64_t i = 0; i < n; i++) ((uint##bits##_t *)out)[i] = (uint##bits##_t)value;                \
    }                                                                                                      \
    static void move##bits(const void *in, int64_t si, void *out, int64_t so, int64_t n) {                 \
        const uint##bits##_t *from = in;                                                                   \
        uint##bits##_t *to = out;                                                                          \
        if (so == 1) {                                                                                     \
            for (int64_t i = 0; i < n; i++) to[i] = from[i * si];                                          \
        } else {                                                                                           \
            for (int64_t i = 0; i < n; i++) to[i * so] = from[i * si];                                     \
        }                                                                                                  \
    }
MOVE(8)
MOVE(16)
MOVE(32)
MOVE(64)

void ounce_copy_scalar(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_copy_params *p = call->params;
    const ounce_box box = make_box(p);
    const int64_t si = box.stride[0][box.rank - 1], so = box.stride[1][box.rank - 1], size = p->element_size;
    const char *in = (const char *)call->in[0] + p->in_offset * size;
    char *out = (char *)call->out + p->out_offset * size;
    if (p->fill_count > 0) {
        if (begin > 0 || end < 1) return;
        switch (size) {
        case 1: fill8(call->out, p->fill_count, p->fill); break;
        case 2: fill16(call->out, p->fill_count, p->fill); break;
        case 4: fill32(call->out, p->fill_count, p->fill); break;
        default: fill64(call->out, p->fill_count, p->fill); break;
        }
        end = ounce_box_units(&box);
    }
    for (int64_t unit = begin; unit < end; unit++) {
        const ounce_run run = ounce_box_unit(&box, unit);
        const char *from = in + run.offset[0] * size;
        char *to = out + run.offset[1] * size;
        if (si == 1 && so == 1) {
            memcpy(to, from, (size_t)(run.count * size));
            continue;
        }
        switch (size) {
        case 1: move8(from, si, to, so, run.count); break;
        case 2: move16(from, si, to, so, run.count); break;
        case 4: move32(from, si, to, so, run.count); break;
        default: move64(from, si, to, so, run.count); break;
        }
    }
}
