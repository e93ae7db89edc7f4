// Addition of int8 as the compiler vectorises it. A unit is a chunk of elements.
void OUNCE_NAME(add_s8)(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_add_s8_params *p = call->params;
    const int32_t ma = p->multiplier[0], mb = p->multiplier[1], bias = p->bias, shift = p->shift;
    const int32_t lo = p->out_min - p->out_zero, hi = p->out_max - p->out_zero, zero = p->out_zero;
    const int64_t last = ounce_min64(p->count, end * OUNCE_CHUNK);
    const int8_t *a = call->in[0], *b = call->in[1];
    int8_t *restrict out = call->out;
    for (int64_t i = begin * OUNCE_CHUNK; i < last; i++) {
        int32_t v = (bias + a[i] * ma + b[i] * mb) >> shift;
        v = v > lo ? v : lo;
        v = v < hi ? v : hi;
        out[i] = (int8_t)(v + zero);
    }
}
