// Attention; compiled once for each instruction set, with matmul_rows of matmul_tile.h or matmul_plain.h. A unit is the
// queries of MATMUL_TILE rows: their scores stay in the scratch, with the exponentials of a row behind them.
#include "../softmax/softmax_row.h"

// `step` is 0 for one number for the whole row.
OUNCE_INLINE void add_mask(float *restrict x, const float *mask, int64_t step, int64_t n) {
    if (step) {
        for (int64_t i = 0; i < n; i++) x[i] = x[i] + mask[i];
    } else {
        for (int64_t i = 0; i < n; i++) x[i] = x[i] + mask[0];
    }
}

void OUNCE_NAME(attention_f32)(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_attention_params *p = call->params;
    const int64_t tiles = ounce_ceil_div(p->m, MATMUL_TILE), n = p->n;
    float *scores = call->scratch, *exponentials = scores + MATMUL_TILE * n;
    for (int64_t unit = begin; unit < end; unit++) {
        const int64_t batch = unit / tiles, first = unit % tiles * MATMUL_TILE;
        const int64_t rows = ounce_min64(p->m - first, MATMUL_TILE);
        const int64_t *offsets = p->offsets + 4 * batch;
        const float *mask = call->in[3] ? (const float *)call->in[3] + offsets[3] + first * p->mask_row : NULL;
        matmul_rows((const float *)call->in[0] + offsets[0] + first * p->k, (const float *)call->in[1] + offsets[1],
                    scores, p->k, n, rows);
        for (int64_t row = 0; row < rows; row++) {
            float *x = scores + row * n;
            if (mask) add_mask(x, mask + row * p->mask_row, p->mask_column, n);
            softmax_row(x, exponentials, x, n);
        }
        matmul_rows(scores, (const float *)call->in[2] + offsets[2], (float *)call->out + (batch * p->m + first) * p->v,
                    n, p->v, rows);
    }
}
