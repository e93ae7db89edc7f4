// The addition of int8 numbers (OUNCE_ADD_S8), also of residuals. Files for x86 define ADD_S8_AVX512 or ADD_S8_AVX2 to get
// that of add_s8_x86.h.
#ifndef OUNCE_ADD_S8_H
#define OUNCE_ADD_S8_H

#include "../vector.h"

OUNCE_INLINE int8_t add_one_s8(const ounce_add_s8_params *p, int8_t a, int8_t b) {
    const int32_t lo = p->out_min - p->out_zero, hi = p->out_max - p->out_zero;
    int32_t v = (p->bias + a * p->multiplier[0] + b * p->multiplier[1]) >> p->shift;
    v = v > lo ? v : lo;
    v = v < hi ? v : hi;
    return (int8_t)(v + p->out_zero);
}

OUNCE_INLINE v16b add_lanes_s8(const ounce_add_s8_params *p, v16b a, v16b b) {
    const v16i lo = (v16i){0} + (p->out_min - p->out_zero), hi = (v16i){0} + (p->out_max - p->out_zero);
    v16i v = __builtin_convertvector(a, v16i) * p->multiplier[0] + __builtin_convertvector(b, v16i) * p->multiplier[1];
    v = (v + p->bias) >> p->shift;
    v = SELECT(v16i, v > lo, v, lo);
    v = SELECT(v16i, v < hi, v, hi);
    return __builtin_convertvector(v + p->out_zero, v16b);
}

#if defined(ADD_S8_AVX512) || defined(ADD_S8_AVX2)
#include "add_s8_x86.h"
#endif

// out may be a or b.
OUNCE_INLINE void add_run_s8(const ounce_add_s8_params *parameters, const int8_t *a, const int8_t *b, int8_t *out,
                             int64_t count) {
    const ounce_add_s8_params p = *parameters;  // what is stored does not change it
    int64_t i = 0;
#if defined(ADD_S8_AVX512) || defined(ADD_S8_AVX2)
    const add_constants c = make_add_constants(&p);
    for (const int64_t step = sizeof(add_vector); i + step <= count; i += step) {
        const add_vector q = add_bytes(LOAD(add_vector, a + i), LOAD(add_vector, b + i), &c);
        memcpy(out + i, &q, sizeof q);
    }
#endif
    for (; i + OUNCE_LANES <= count; i += OUNCE_LANES) {
        const v16b q = add_lanes_s8(&p, LOAD(v16b, a + i), LOAD(v16b, b + i));
        memcpy(out + i, &q, sizeof q);
    }
    if (i == count) return;
    v16b x = {0}, y = {0};
    store_some(&x, a + i, 1, count - i);
    store_some(&y, b + i, 1, count - i);
    const v16b q = add_lanes_s8(&p, x, y);
    store_some(out + i, &q, 1, count - i);
}

#endif
