#include "../kernels.h"
#include "matmul.h"

int64_t ounce_matmul_units(const void *params) {
    const ounce_matmul_params *p = params;
    return p->batch * ounce_ceil_div(p->m, MATMUL_TILE);
}

void ounce_matmul_f32_scalar(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_matmul_params *p = call->params;
    const int64_t tiles = ounce_ceil_div(p->m, MATMUL_TILE);
    for (int64_t unit = begin; unit < end; unit++) {
        const int64_t batch = unit / tiles, first = unit % tiles * MATMUL_TILE;
        const int64_t last = ounce_min64(p->m, first + MATMUL_TILE);
        const float *a = (const float *)call->in[0] + p->offsets[2 * batch];
        const float *b = (const float *)call->in[1] + p->offsets[2 * batch + 1];
        float *out = (float *)call->out + batch * p->m * p->n;
        for (int64_t row = first; row < last; row++) {
            float *restrict to = out + row * p->n;
            for (int64_t n = 0; n < p->n; n++) to[n] = 0.0f;
            for (int64_t k = 0; k < p->k; k++) {
                const float x = a[row * p->k + k];
                const float *w = b + k * p->n;
                for (int64_t n = 0; n < p->n; n++) to[n] = __builtin_fmaf(x, w[n], to[n]);
            }
        }
    }
}
