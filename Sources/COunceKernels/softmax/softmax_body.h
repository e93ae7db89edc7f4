// Softmax; compiled once for each instruction set. A unit is one row; the scratch holds the exponentials of a row.
#include "../math/polynomials.h"

#define LANES 16

// The sum in the contract's order, whatever the vector width.
OUNCE_INLINE float lane_sum(const float *e, int64_t n) {
    float lanes[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (int lane = 0; lane < LANES; lane++) lanes[lane] = lanes[lane] + e[i + lane];
    }
    for (int lane = 0; i + lane < n; lane++) lanes[lane] = lanes[lane] + e[i + lane];
    for (int step = LANES / 2; step > 0; step /= 2) {
        for (int lane = 0; lane < step; lane++) lanes[lane] = lanes[lane] + lanes[lane + step];
    }
    return lanes[0];
}

// In lanes: numbers may be compared in any order, and which zero is the largest makes no difference to what it is
// subtracted from.
OUNCE_INLINE float largest(const float *x, int64_t n) {
    float max = -__builtin_inff();
    int64_t i = 0;
    if (n >= LANES) {
        float lanes[LANES];
        for (int lane = 0; lane < LANES; lane++) lanes[lane] = max;
        for (; i + LANES <= n; i += LANES) {
            for (int lane = 0; lane < LANES; lane++) {
                lanes[lane] = x[i + lane] > lanes[lane] ? x[i + lane] : lanes[lane];
            }
        }
        for (int lane = 0; lane < LANES; lane++) max = lanes[lane] > max ? lanes[lane] : max;
    }
    for (; i < n; i++) max = x[i] > max ? x[i] : max;
    return max;
}

void OUNCE_NAME(softmax_f32)(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_softmax_params *p = call->params;
    const int64_t n = p->columns;
    for (int64_t row = begin; row < end; row++) {
        const float *in = (const float *)call->in[0] + row * n;
        float *restrict out = (float *)call->out + row * n;
        float *restrict e = call->scratch;
        const float max = largest(in, n);
        for (int64_t i = 0; i < n; i++) e[i] = ounce_exp_inline(in[i] - max);
        const float sum = lane_sum(e, n);
        for (int64_t i = 0; i < n; i++) out[i] = e[i] / sum;
    }
}

void OUNCE_NAME(softmax_s8)(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_softmax_params *p = call->params;
    const int64_t n = p->columns;
    const ounce_range range = ounce_make_range(-128, 127, p->out_zero);
    const float in_scale = p->in_scale, out_scale = p->out_scale;
    for (int64_t row = begin; row < end; row++) {
        const int8_t *in = (const int8_t *)call->in[0] + row * n;
        int8_t *restrict out = (int8_t *)call->out + row * n;
        float *restrict e = call->scratch;
        int8_t max = -128;
        for (int64_t i = 0; i < n; i++) max = in[i] > max ? in[i] : max;
        for (int64_t i = 0; i < n; i++) e[i] = ounce_exp_inline((float)(in[i] - max) * in_scale);
        const float sum = lane_sum(e, n);
        for (int64_t i = 0; i < n; i++) out[i] = ounce_round(e[i] / sum / out_scale, range);
    }
}

#undef LANES
