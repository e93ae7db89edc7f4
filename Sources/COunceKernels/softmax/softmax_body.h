// Softmax; compiled once for each instruction set. A unit is one row; the scratch holds the exponentials of a row.
#include "softmax_row.h"

void OUNCE_NAME(softmax_f32)(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_softmax_params *p = call->params;
    const int64_t n = p->columns;
    for (int64_t row = begin; row < end; row++) {
        softmax_row((const float *)call->in[0] + row * n, call->scratch, (float *)call->out + row * n, n);
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
