// Elementwise families; compiled once for each instruction set. A unit is a chunk of elements.
#include "../math/polynomials.h"
#include "add_s8.h"
#include "binary.h"

#define APPLY(expression)                                            \
    for (int64_t i = 0; i < n; i++) {                                \
        const float a = x[i * sa], b = y[i * sb];                    \
        out[i] = ounce_clamp((expression), lo, hi);                  \
    }                                                                \
    break
OUNCE_INLINE void binary_run(int32_t op, const float *x, int64_t sa, const float *y, int64_t sb, float *restrict out,
                             int64_t n, float lo, float hi) {
    switch (op) {
    case OUNCE_ADD: APPLY(a + b);
    case OUNCE_SUB: APPLY(a - b);
    case OUNCE_MUL: APPLY(a * b);
    case OUNCE_DIV: APPLY(a / b);
    case OUNCE_MIN: APPLY(a < b ? a : b);
    case OUNCE_MAX: APPLY(a > b ? a : b);
    default: break;
    }
}
#undef APPLY

void OUNCE_NAME(binary_f32)(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_binary_params *p = call->params;
    const ounce_box box = ounce_binary_box(p);
    const int64_t sa = box.stride[0][box.rank - 1], sb = box.stride[1][box.rank - 1];
    const float lo = p->min, hi = p->max;
    for (int64_t unit = begin; unit < end; unit++) {
        const ounce_run run = ounce_box_unit(&box, unit);
        const float *x = (const float *)call->in[0] + run.offset[0], *y = (const float *)call->in[1] + run.offset[1];
        float *out = (float *)call->out + run.offset[2];
        if (sa == 1 && sb == 1) {
            binary_run(p->op, x, 1, y, 1, out, run.count, lo, hi);
        } else if (sa == 1 && sb == 0) {
            binary_run(p->op, x, 1, y, 0, out, run.count, lo, hi);
        } else {
            binary_run(p->op, x, sa, y, sb, out, run.count, lo, hi);
        }
    }
}

void OUNCE_NAME(add_s8)(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_add_s8_params *p = call->params;
    const int64_t first = begin * OUNCE_CHUNK, last = ounce_min64(p->count, end * OUNCE_CHUNK);
    add_run_s8(p, (const int8_t *)call->in[0] + first, (const int8_t *)call->in[1] + first, (int8_t *)call->out + first,
               last - first);
}

void OUNCE_NAME(unary_f32)(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_unary_params *p = call->params;
    const int64_t first = begin * OUNCE_CHUNK, last = ounce_min64(p->count, end * OUNCE_CHUNK);
    ounce_unary_run(p->op, p->alpha, p->beta, (const float *)call->in[0] + first, (float *)call->out + first,
                    last - first);
}
