// Rows of a product of matrices. The including file defines MATMUL_ROWS rows of the result by at most
// MATMUL_PANELS * 16 columns for one pass over the reduction.
#include "../vector.h"
#include "matmul.h"

OUNCE_INLINE void matmul_tile(const float *a, const float *b, float *out, int64_t k, int64_t n, int64_t rows,
                              int64_t columns, const int panels) {
    v16f acc[MATMUL_ROWS][MATMUL_PANELS];
    const float *x[MATMUL_ROWS];
    OUNCE_UNROLL for (int row = 0; row < MATMUL_ROWS; row++) {
        x[row] = a + ounce_min64(row, rows - 1) * k;
        OUNCE_UNROLL for (int panel = 0; panel < panels; panel++) acc[row][panel] = splat(0.0f);
    }
    for (int64_t i = 0; i < k; i++, b += n) {
        v16f wide[MATMUL_PANELS];
        OUNCE_UNROLL for (int panel = 0; panel < panels; panel++) wide[panel] = LOAD(v16f, b + panel * OUNCE_LANES);
        OUNCE_UNROLL for (int row = 0; row < MATMUL_ROWS; row++) {
            const v16f v = splat(x[row][i]);
            OUNCE_UNROLL for (int panel = 0; panel < panels; panel++) {
                acc[row][panel] = __builtin_elementwise_fma(v, wide[panel], acc[row][panel]);
            }
        }
    }
    OUNCE_UNROLL for (int row = 0; row < MATMUL_ROWS; row++) {
        if (row >= rows) break;
        OUNCE_UNROLL for (int panel = 0; panel < panels; panel++) {
            const int64_t count = columns - panel * OUNCE_LANES;
            float *to = out + row * n + panel * OUNCE_LANES;
            const v16f sum = acc[row][panel];  // a copy: what has an address is kept in memory throughout
            if (OUNCE_LIKELY(count >= OUNCE_LANES)) {
                memcpy(to, &sum, sizeof sum);
            } else {
                store_some(to, &sum, sizeof(float), count);
            }
        }
    }
}

// out [rows, n] = a [rows, k] * b [k, n], all row-major. Reads up to 60 bytes behind b.
OUNCE_INLINE void matmul_rows(const float *a, const float *b, float *out, int64_t k, int64_t n, int64_t rows) {
    for (int64_t column = 0; column < n;) {
        const int64_t left = n - column;
        const int panels = left > (MATMUL_PANELS - 1) * OUNCE_LANES ? MATMUL_PANELS : left > OUNCE_LANES ? 2 : 1;
        for (int64_t row = 0; row < rows; row += MATMUL_ROWS) {
            const float *x = a + row * k;
            float *to = out + row * n + column;
            if (panels == MATMUL_PANELS) {
                matmul_tile(x, b + column, to, k, n, rows - row, left, MATMUL_PANELS);
            } else if (MATMUL_PANELS > 2 && panels == 2) {
                matmul_tile(x, b + column, to, k, n, rows - row, left, MATMUL_PANELS > 2 ? 2 : 1);
            } else {
                matmul_tile(x, b + column, to, k, n, rows - row, left, 1);
            }
        }
        column += panels * OUNCE_LANES;
    }
}
