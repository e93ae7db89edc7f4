#ifndef OUNCE_MATMUL_PLAIN_H
#define OUNCE_MATMUL_PLAIN_H

#include "../common.h"
#include "matmul.h"

// out [rows, n] = a [rows, k] * b [k, n], all row-major.
OUNCE_INLINE void matmul_rows(const float *a, const float *b, float *restrict out, int64_t k, int64_t n,
                              int64_t rows) {
    for (int64_t row = 0; row < rows; row++, a += k, out += n) {
        for (int64_t column = 0; column < n; column++) out[column] = 0.0f;
        for (int64_t i = 0; i < k; i++) {
            const float x = a[i], *w = b + i * n;
            for (int64_t column = 0; column < n; column++) out[column] = __builtin_fmaf(x, w[column], out[column]);
        }
    }
}

#endif
