// Softmax; compiled once for each instruction set. A unit is one row; the scratch holds the exponentials of a row,
// rounded up to whole vectors, so that no loop over them has a tail.
#include "../math/polynomials.h"
#include "../vector.h"

// The sum in the contract's order, whatever the vector width.
OUNCE_INLINE float lane_sum(float *e, int64_t n) {
    v16f sum = splat(0.0f);
    for (int64_t i = n; i % OUNCE_LANES; i++) e[i] = 0.0f;
    for (int64_t i = 0; i < n; i += OUNCE_LANES) sum = sum + LOAD(v16f, e + i);
    float lanes[OUNCE_LANES];
    memcpy(lanes, &sum, sizeof lanes);
    for (int step = OUNCE_LANES / 2; step > 0; step /= 2) {
        for (int lane = 0; lane < step; lane++) lanes[lane] = lanes[lane] + lanes[lane + step];
    }
    return lanes[0];
}

// In any order: which zero is the largest makes no difference to what is subtracted from it.
OUNCE_INLINE float largest(const float *x, int64_t n) {
    v16f top = splat(-__builtin_inff());
    int64_t i = 0;
    for (; i + OUNCE_LANES <= n; i += OUNCE_LANES) {
        const v16f v = LOAD(v16f, x + i);
        top = SELECT(v16f, v > top, v, top);
    }
    float lanes[OUNCE_LANES];
    memcpy(lanes, &top, sizeof lanes);
    for (int lane = 0; i + lane < n; lane++) lanes[lane] = x[i + lane] > lanes[lane] ? x[i + lane] : lanes[lane];
    for (int step = OUNCE_LANES / 2; step > 0; step /= 2) {
        for (int lane = 0; lane < step; lane++) {
            lanes[lane] = lanes[lane] > lanes[lane + step] ? lanes[lane] : lanes[lane + step];
        }
    }
    return lanes[0];
}

void OUNCE_NAME(softmax_f32)(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_softmax_params *p = call->params;
    const int64_t n = p->columns;
    for (int64_t row = begin; row < end; row++) {
        const float *in = (const float *)call->in[0] + row * n;
        float *restrict e = call->scratch;
        const float max = largest(in, n);
        // Reads up to OUNCE_SLACK bytes behind the row.
        for (int64_t i = 0; i < n; i += OUNCE_LANES) {
            for (int lane = 0; lane < OUNCE_LANES; lane++) e[i + lane] = ounce_exp_inline(in[i + lane] - max);
        }
        const float sum = lane_sum(e, n);
        for (int64_t i = 0; i < n; i += OUNCE_LANES) {
            for (int lane = 0; lane < OUNCE_LANES; lane++) e[i + lane] = e[i + lane] / sum;
        }
        memcpy((float *)call->out + row * n, e, (size_t)n * sizeof(float));
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
