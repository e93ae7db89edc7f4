// Layer normalisation; compiled once for each instruction set. A unit is one row.
#include "../vector.h"

// Sixteen partial sums added pairwise: the contract's order, whatever the vector width.
OUNCE_INLINE float layernorm_total(v16f lanes) {
    float sum[OUNCE_LANES];
    memcpy(sum, &lanes, sizeof sum);
    for (int step = OUNCE_LANES / 2; step > 0; step /= 2) {
        for (int lane = 0; lane < step; lane++) sum[lane] = sum[lane] + sum[lane + step];
    }
    return sum[0];
}

// The last, partly filled sixteen elements from `i` on: what lies behind them becomes `rest`.
OUNCE_INLINE v16f layernorm_tail(const float *x, int64_t i, int64_t n, float rest) {
    float some[OUNCE_LANES];
    for (int lane = 0; lane < OUNCE_LANES; lane++) some[lane] = i + lane < n ? x[i + lane] : rest;
    return LOAD(v16f, some);
}

OUNCE_INLINE float layernorm_mean(const float *x, int64_t n) {
    v16f sum = splat(0.0f);
    int64_t i = 0;
    for (; i + OUNCE_LANES <= n; i += OUNCE_LANES) sum = sum + LOAD(v16f, x + i);
    if (i < n) sum = sum + layernorm_tail(x, i, n, 0.0f);
    return layernorm_total(sum) / (float)n;
}

// In double, because its rounding would go into every element.
OUNCE_INLINE double layernorm_variance(const float *x, int64_t n, float mean) {
    v16f sum = splat(0.0f);
    int64_t i = 0;
    for (; i + OUNCE_LANES <= n; i += OUNCE_LANES) {
        const v16f d = LOAD(v16f, x + i) - mean;
        sum = sum + d * d;
    }
    if (i < n) {
        const v16f d = layernorm_tail(x, i, n, mean) - mean;
        sum = sum + d * d;
    }
    return (double)layernorm_total(sum) / (double)n;
}

void OUNCE_NAME(layernorm_f32)(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_layernorm_params *p = call->params;
    const int64_t n = p->columns;
    const float *scale = call->in[1], *bias = call->in[2];
    for (int64_t row = begin; row < end; row++) {
        const float *in = (const float *)call->in[0] + row * n;
        float *restrict out = (float *)call->out + row * n;
        const float mean = layernorm_mean(in, n);
        const double variance = layernorm_variance(in, n, mean) + (double)p->epsilon;
        const float factor = (float)(1.0 / __builtin_elementwise_sqrt(variance));
        if (scale && bias) {
            for (int64_t i = 0; i < n; i++) out[i] = __builtin_fmaf((in[i] - mean) * factor, scale[i], bias[i]);
        } else if (scale) {
            for (int64_t i = 0; i < n; i++) out[i] = (in[i] - mean) * factor * scale[i];
        } else if (bias) {
            for (int64_t i = 0; i < n; i++) out[i] = (in[i] - mean) * factor + bias[i];
        } else {
            for (int64_t i = 0; i < n; i++) out[i] = (in[i] - mean) * factor;
        }
    }
}
