// Adds the residual to results of a convolution that were just stored.
#ifndef OUNCE_RESIDUAL_H
#define OUNCE_RESIDUAL_H

#include "../elementwise/add_s8.h"

// Bytes from a result to what is added to it.
OUNCE_INLINE intptr_t residual_offset(const ounce_call *call) { return (intptr_t)call->in[1] - (intptr_t)call->out; }
#define RESIDUAL(out, offset) ((const __typeof__(*(out)) *)((intptr_t)(out) + (offset)))

OUNCE_INLINE float residual_one_f32(const ounce_conv_params *p, float sum, float residual) {
    return ounce_clamp(sum + residual, p->residual_min, p->residual_max);
}

OUNCE_INLINE void residual_s8(const ounce_conv_params *p, int8_t *out, intptr_t offset, int64_t count) {
    add_run_s8(&p->residual, out, RESIDUAL(out, offset), out, count);
}
OUNCE_INLINE void residual_f32(const ounce_conv_params *p, float *out, intptr_t offset, int64_t count) {
    const float min = p->residual_min, max = p->residual_max;
    for (; count >= OUNCE_LANES; count -= OUNCE_LANES, out += OUNCE_LANES) {
        store_clamped(out, LOAD(v16f, out) + LOAD(v16f, RESIDUAL(out, offset)), min, max, OUNCE_LANES);
    }
    if (count <= 0) return;
    v16f v = {0}, r = {0};
    store_some(&v, out, sizeof(float), count);
    store_some(&r, RESIDUAL(out, offset), sizeof(float), count);
    store_clamped(out, v + r, min, max, count);
}

// For either type of results: `channels` of each of `count` pixels from channel `first` on. Pixels that lie one behind another
// are one run.
#define ADD_RESIDUAL(p, out, first, offset, count, channels)                                                    \
    for (int64_t pixel_ = 0, next_; pixel_ < (count); pixel_ = next_) {                                         \
        next_ = pixel_ + 1;                                                                                     \
        while (next_ < (count) && (out)[next_] == (out)[pixel_] + (next_ - pixel_) * (channels)) next_++;       \
        _Generic(*(out), int8_t *: residual_s8, float *: residual_f32)                                          \
            (p, (out)[pixel_] + (first), offset, (next_ - pixel_) * (channels));                                \
    }

#endif
