#include "../kernels.h"

#include "binary.h"

int64_t ounce_binary_units(const void *params) {
    const ounce_box box = ounce_binary_box(params);
    return ounce_box_units(&box);
}
int64_t ounce_add_s8_units(const void *params) { return ounce_chunks(((const ounce_add_s8_params *)params)->count); }
int64_t ounce_unary_units(const void *params) { return ounce_chunks(((const ounce_unary_params *)params)->count); }
int64_t ounce_lut_units(const void *params) { return ounce_chunks(((const ounce_lut_params *)params)->count); }

void ounce_lut_s8_scalar(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_lut_params *p = call->params;
    const int64_t last = ounce_min64(p->count, end * OUNCE_CHUNK);
    const uint8_t *in = call->in[0];
    int8_t *out = call->out;
    for (int64_t i = begin * OUNCE_CHUNK; i < last; i++) out[i] = p->table[in[i]];
}

#define OUNCE_BODY_ISA scalar
#include "elementwise_body.h"
#include "add_s8_body.h"
