// How much scratch products of computed int8 matrices need, whatever form an instruction set multiplies them in.
#ifndef OUNCE_MATMUL_S8_H
#define OUNCE_MATMUL_S8_H

#include "../common.h"

// Rows of the result in a unit of work.
#define MATMUL_S8_TILE 24

// The reduction is filled up with zeros to a multiple of four; numbers take up to two bytes.
OUNCE_INLINE size_t matmul_s8_row_bytes(int64_t k) { return (size_t)ounce_ceil_div(k, 4) * 8; }
// Panels of 16 columns with 16 start values before each.
OUNCE_INLINE size_t matmul_s8_column_bytes(int64_t k, int64_t n) {
    return (size_t)ounce_ceil_div(n, 16) * (64 + 16 * matmul_s8_row_bytes(k));
}
// MATMUL_S8_TILE rows of the left matrix.
OUNCE_INLINE size_t matmul_s8_tile_bytes(int64_t k) { return ounce_align64(MATMUL_S8_TILE * matmul_s8_row_bytes(k)); }

#endif
