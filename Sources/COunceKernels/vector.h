// Sixteen lanes in the compiler's vector types: one 512-bit, two 256-bit or four 128-bit registers, as the target has
// them. The operations are exact lane by lane, so every target gives the same bits.
#ifndef OUNCE_VECTOR_H
#define OUNCE_VECTOR_H

#include "common.h"

// No function here is ever called out of line, so no vector crosses an ABI.
#pragma clang diagnostic ignored "-Wpsabi"

#define OUNCE_LANES 16
typedef float v16f __attribute__((vector_size(64)));
typedef int32_t v16i __attribute__((vector_size(64)));
typedef uint32_t v16u __attribute__((vector_size(64)));
typedef int8_t v16b __attribute__((vector_size(16)));
typedef int16_t v16s __attribute__((vector_size(32)));

#define OUNCE_UNROLL _Pragma("clang loop unroll(full)")
#define LOAD(type, pointer)                                  \
    ({                                                       \
        type loaded_;                                        \
        memcpy(&loaded_, (pointer), sizeof loaded_);         \
        loaded_;                                             \
    })
// mask ? a : b, the mask being a comparison's lanes.
#define SELECT(type, mask, a, b) ((type)(((v16i)(a) & (mask)) | ((v16i)(b) & ~(mask))))


OUNCE_INLINE v16f splat(float x) { return (v16f){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x}; }

// Stores the first `count` < 16 of sixteen elements, in halves.
OUNCE_INLINE void store_some(void *out, const void *lanes, size_t element, int64_t count) {
    char *to = out;
    const char *from = lanes;
    OUNCE_UNROLL for (size_t half = OUNCE_LANES / 2; half > 0; half /= 2) {
        if (!(count & (int64_t)half)) continue;
        memcpy(to, from, half * element);
        to += half * element;
        from += half * element;
    }
}

// Sixteen ounce_clamp.
OUNCE_INLINE v16f clamped(v16f v, float min, float max) {
    const v16f lo = splat(min), hi = splat(max);
    v = SELECT(v16f, lo > v, lo, v);
    return SELECT(v16f, hi < v, hi, v);
}

// Stores the first `count` lanes (at most 16).
OUNCE_INLINE void store_first(float *out, v16f v, int64_t count) {
    if (OUNCE_LIKELY(count >= OUNCE_LANES)) {
        memcpy(out, &v, sizeof v);
    } else {
        store_some(out, &v, sizeof(float), count);
    }
}
OUNCE_INLINE void store_clamped(float *out, v16f v, float min, float max, int64_t count) {
    store_first(out, clamped(v, min, max), count);
}

// Sixteen ounce_round.
OUNCE_INLINE void store_rounded(int8_t *out, v16f v, ounce_range r, int64_t count) {
    const v16f lo = splat(r.lo), hi = splat(r.hi);
    v = SELECT(v16f, v > lo, v, lo);
    v = SELECT(v16f, v < hi, v, hi);
    const v16u rounded = (v16u)(v + 12582912.0f) - 0x4B400000u + (uint32_t)r.zero;
    const v16b q = __builtin_convertvector((v16i)rounded, v16b);
    if (OUNCE_LIKELY(count >= OUNCE_LANES)) {
        memcpy(out, &q, sizeof q);
    } else {
        store_some(out, &q, 1, count);
    }
}

// The requantisation rule on sixteen accumulators.
OUNCE_INLINE void store_requantised(int8_t *out, v16i acc, v16f scale, ounce_range r, int64_t count) {
    store_rounded(out, __builtin_convertvector(acc, v16f) * scale, r, count);
}

#endif
