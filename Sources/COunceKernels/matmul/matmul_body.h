// Product of computed matrices; compiled once for each instruction set. The including file defines MATMUL_ROWS rows of
// the result by at most MATMUL_PANELS * 16 columns for one pass over the reduction. A unit is MATMUL_TILE rows.
#include "../vector.h"
#include "matmul.h"

OUNCE_INLINE void matmul_tile(const float *a, const float *b, float *out, const ounce_matmul_params *p, int64_t rows,
                              int64_t columns, const int panels) {
    v16f acc[MATMUL_ROWS][MATMUL_PANELS];
    const float *x[MATMUL_ROWS];
    OUNCE_UNROLL for (int m = 0; m < MATMUL_ROWS; m++) {
        x[m] = a + ounce_min64(m, rows - 1) * p->k;
        OUNCE_UNROLL for (int n = 0; n < panels; n++) acc[m][n] = splat(0.0f);
    }
    for (int64_t k = 0; k < p->k; k++, b += p->n) {
        v16f wide[MATMUL_PANELS];
        OUNCE_UNROLL for (int n = 0; n < panels; n++) wide[n] = LOAD(v16f, b + n * OUNCE_LANES);
        OUNCE_UNROLL for (int m = 0; m < MATMUL_ROWS; m++) {
            const v16f v = splat(x[m][k]);
            OUNCE_UNROLL for (int n = 0; n < panels; n++) acc[m][n] = __builtin_elementwise_fma(v, wide[n], acc[m][n]);
        }
    }
    OUNCE_UNROLL for (int m = 0; m < MATMUL_ROWS; m++) {
        if (m >= rows) break;
        OUNCE_UNROLL for (int n = 0; n < panels; n++) {
            const int64_t count = columns - n * OUNCE_LANES;
            float *to = out + m * p->n + n * OUNCE_LANES;
            if (OUNCE_LIKELY(count >= OUNCE_LANES)) {
                memcpy(to, &acc[m][n], sizeof acc[m][n]);
            } else {
                store_some(to, &acc[m][n], sizeof(float), count);
            }
        }
    }
}

void OUNCE_NAME(matmul_f32)(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_matmul_params *p = call->params;
    const int64_t tiles = ounce_ceil_div(p->m, MATMUL_TILE);
    for (int64_t unit = begin; unit < end; unit++) {
        const int64_t batch = unit / tiles, first = unit % tiles * MATMUL_TILE;
        const int64_t last = ounce_min64(p->m, first + MATMUL_TILE);
        const float *a = (const float *)call->in[0] + p->offsets[2 * batch];
        const float *b = (const float *)call->in[1] + p->offsets[2 * batch + 1];
        float *out = (float *)call->out + batch * p->m * p->n;
        for (int64_t column = 0; column < p->n;) {
            const int64_t left = p->n - column;
            const int wide = MATMUL_PANELS > 1 && left > (MATMUL_PANELS - 1) * OUNCE_LANES;
            for (int64_t row = first; row < last; row += MATMUL_ROWS) {
                const float *x = a + row * p->k;
                float *to = out + row * p->n + column;
                if (wide) {
                    matmul_tile(x, b + column, to, p, last - row, left, MATMUL_PANELS);
                } else {
                    matmul_tile(x, b + column, to, p, last - row, left, 1);
                }
            }
            column += (wide ? MATMUL_PANELS : 1) * OUNCE_LANES;
        }
    }
}
