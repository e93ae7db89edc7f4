// What every kernel file includes first: no contraction, and the rules of the contract as inline functions.
#ifndef OUNCE_COMMON_H
#define OUNCE_COMMON_H

#include "include/ounce_kernels.h"

#include <string.h>

#pragma STDC FP_CONTRACT OFF

#define OUNCE_INLINE static inline __attribute__((always_inline))
#define OUNCE_CONCAT2(a, b) a##b
#define OUNCE_CONCAT(a, b) OUNCE_CONCAT2(a, b)
// In a body that is compiled once for each instruction set: the function's name with that set's suffix.
#define OUNCE_NAME(base) OUNCE_CONCAT(OUNCE_CONCAT(ounce_, base), OUNCE_CONCAT(_, OUNCE_BODY_ISA))

#define OUNCE_LIKELY(x) __builtin_expect(!!(x), 1)

OUNCE_INLINE int64_t ounce_min64(int64_t a, int64_t b) { return a < b ? a : b; }
OUNCE_INLINE int64_t ounce_max64(int64_t a, int64_t b) { return a > b ? a : b; }
OUNCE_INLINE int64_t ounce_ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
OUNCE_INLINE size_t ounce_align64(size_t n) { return (n + 63) & ~(size_t)63; }

OUNCE_INLINE uint32_t ounce_bits(float x) {
    uint32_t u;
    memcpy(&u, &x, 4);
    return u;
}
OUNCE_INLINE float ounce_float(uint32_t u) {
    float x;
    memcpy(&x, &u, 4);
    return x;
}

// Adding 1.5 * 2^23 leaves the nearest integer (ties to even) in the low bits of a float, for |v| < 2^22.
OUNCE_INLINE int32_t ounce_rne(float v) { return (int32_t)(ounce_bits(v + 12582912.0f) - 0x4B400000u); }

// A float clamp that lets NaN through.
OUNCE_INLINE float ounce_clamp(float v, float lo, float hi) {
    v = lo > v ? lo : v;
    return hi < v ? hi : v;
}

typedef struct {
    float lo, hi;
    int32_t zero;
} ounce_range;
OUNCE_INLINE ounce_range ounce_make_range(int32_t out_min, int32_t out_max, int32_t zero) {
    return (ounce_range){(float)(out_min - zero), (float)(out_max - zero), zero};
}
OUNCE_INLINE int8_t ounce_round(float v, ounce_range r) {
    v = v > r.lo ? v : r.lo;
    v = v < r.hi ? v : r.hi;
    return (int8_t)(ounce_rne(v) + r.zero);
}
OUNCE_INLINE int8_t ounce_requantise(int32_t acc, float scale, ounce_range r) {
    return ounce_round((float)acc * scale, r);
}

// Sums that stand for int32 accumulators wrap around instead of being undefined.
OUNCE_INLINE int32_t ounce_wrap_add(int32_t a, int32_t b) { return (int32_t)((uint32_t)a + (uint32_t)b); }
OUNCE_INLINE int32_t ounce_wrap_mul(int32_t a, int32_t b) { return (int32_t)((uint32_t)a * (uint32_t)b); }

// Families over `count` independent elements: one unit is this many of them.
#define OUNCE_CHUNK 4096
OUNCE_INLINE int64_t ounce_chunks(int64_t count) { return count <= 0 ? 0 : (count - 1) / OUNCE_CHUNK + 1; }

#endif
