// Products of computed int8 matrices, for one instruction set. The including file defines
//   S8_GROUP          numbers of the reduction that one lane takes at once: 4 (int8) or 2 or 1 (int16)
//   S8_FLIP           with groups of 4: 0x80 where the left numbers are to be unsigned, else 0
//   S8_ROWS, S8_PANELS  rows by panels of 16 columns for one pass over the reduction
//   s8_word, s8_spread  a group of the left matrix for all lanes;  s8_wide, s8_load  a group of sixteen columns
//   s8_dot            adds their products to sixteen sums
// int16 numbers have their zero points taken off. With groups of 4 these are taken off the sums instead:
//   sum((a - p)(b - q)) = sum(a b) - p sum(b) + k p q - q sum(a)
// of which the middle is what a column's sum starts with, and the last belongs to a row. All of it wraps around.
#include "../vector.h"
#include "matmul_s8.h"

#ifndef S8_FLIP
#define S8_FLIP 0
#endif
#if S8_GROUP == 4
typedef int8_t s8_number;
#else
typedef int16_t s8_number;
#endif

typedef int8_t v32b __attribute__((vector_size(32)));
typedef int8_t v64b __attribute__((vector_size(64)));
typedef int16_t v32s __attribute__((vector_size(64)));

#define S8_STEP ((int64_t)sizeof(s8_number) * S8_GROUP * OUNCE_LANES)  // bytes of a group of a panel

// Both matrices of a product in the form in which they are multiplied.
typedef struct {
    int64_t k, n, groups, panels;
    int32_t a_zero, b_zero;
    s8_number *rows;   // MATMUL_S8_TILE rows of a
    char *columns;     // b
    int32_t row_terms[MATMUL_S8_TILE];
} s8_product;

OUNCE_INLINE s8_product make_s8_product(int64_t k, int64_t n, int32_t a_zero, int32_t b_zero, void *rows,
                                        void *columns) {
    return (s8_product){.k = k,
                        .n = n,
                        .groups = ounce_ceil_div(k, S8_GROUP),
                        .panels = ounce_ceil_div(n, OUNCE_LANES),
                        .a_zero = a_zero + S8_FLIP,
                        .b_zero = b_zero,
                        .rows = rows,
                        .columns = columns};
}

// Sixteen numbers of each of the group's rows of b, those of a column side by side. Rows past the last one are zeros.
OUNCE_INLINE void s8_pack_group(const s8_product *p, const int8_t *b, int64_t row, int64_t left, char *to) {
    v16b lines[4];
    OUNCE_UNROLL for (int i = 0; i < S8_GROUP; i++) lines[i] = i < left ? LOAD(v16b, b + i * row) : (v16b){0};
#if S8_GROUP == 4
    const v32b low = __builtin_shufflevector(lines[0], lines[1], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23,
                                             8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    const v32b high = __builtin_shufflevector(lines[2], lines[3], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7,
                                              23, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    const v16s x = (v16s)low, y = (v16s)high;
#else
    // A row that is not there stays 0 without its zero point.
    const int16_t zero = (int16_t)p->b_zero;
    const v16s x = __builtin_convertvector(lines[0], v16s) - zero;
    const v16s y = S8_GROUP == 2 && left > 1 ? __builtin_convertvector(lines[S8_GROUP - 1], v16s) - zero : (v16s){0};
#endif
#if S8_GROUP == 1
    (void)y;
    memcpy(to, &x, sizeof x);
#else
    const v32s all = __builtin_shufflevector(x, y, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23, 8, 24, 9, 25,
                                             10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    memcpy(to, &all, sizeof all);
#endif
    (void)p;
}

// Packs b [k, n], whose rows stand `row` apart. Reads up to 15 bytes past its end.
OUNCE_INLINE void s8_pack_columns(const s8_product *p, const int8_t *b, int64_t row) {
    char *to = p->columns;
    for (int64_t panel = 0; panel < p->panels; panel++) {
        char *const start = to;
        to += sizeof(v16i);
        for (int64_t group = 0; group < p->groups; group++, to += S8_STEP) {
            const int64_t left = p->k - group * S8_GROUP;
            const int8_t *from = b + group * S8_GROUP * row + panel * OUNCE_LANES;
            if (OUNCE_LIKELY(left >= S8_GROUP)) {
                s8_pack_group(p, from, row, S8_GROUP, to);
            } else {
                s8_pack_group(p, from, row, left, to);
            }
        }
        v16i first = {0};
        if (S8_GROUP == 4) {
            static const int8_t ones[4] = {1, 1, 1, 1};
            v16i sum = {0};
            for (const char *from = start + sizeof first; from < to; from += S8_STEP) {
                sum = s8_dot(sum, s8_spread(ones), s8_load(from));
            }
            const uint32_t both = (uint32_t)p->k * (uint32_t)p->a_zero * (uint32_t)p->b_zero;
            first = (v16i)((v16u){0} + both - (v16u)sum * (uint32_t)p->a_zero);
        }
        memcpy(start, &first, sizeof first);
    }
}

// Packs `count` rows of a [count, k], which stand `row` apart.
OUNCE_INLINE void s8_pack_rows(s8_product *p, const int8_t *a, int64_t row, int64_t count) {
    const int64_t width = p->groups * S8_GROUP;
    for (int64_t r = 0; r < count; r++, a += row) {
        s8_number *restrict to = p->rows + r * width;
        if (S8_GROUP == 4) {
            int32_t sum = 0;
            for (int64_t i = 0; i < p->k; i++) to[i] = (s8_number)(a[i] ^ (int8_t)S8_FLIP);
            for (int64_t i = 0; i < p->k && p->b_zero; i++) sum += a[i] + S8_FLIP;
            p->row_terms[r] = ounce_wrap_mul(-p->b_zero, sum);
        } else {
            for (int64_t i = 0; i < p->k; i++) to[i] = (s8_number)(a[i] - p->a_zero);
        }
        for (int64_t i = p->k; i < width; i++) to[i] = 0;
    }
}

// What becomes of the sums: (float)sum * scale, over the row's total where there are totals, then stored or rounded.
typedef struct {
    float *real;  // NULL: stored in `rounded`
    int8_t *rounded;
    int64_t row;  // elements between rows
    float scale;
    ounce_range range;
    const float *totals;  // of rows; NULL: none
    float out_scale;      // with totals and `rounded`
} s8_result;

OUNCE_INLINE void s8_store(const s8_result *to, int64_t row, int64_t column, v16i sum, int64_t count) {
    v16f v = __builtin_convertvector(sum, v16f) * splat(to->scale);
    const int64_t at = row * to->row + column;
    if (to->totals) v = v / splat(to->totals[row]);
    if (!to->real) {
        if (to->totals) {
            v = v / splat(to->out_scale);
            v = SELECT(v16f, v == v, v, splat(0.0f));
        }
        store_rounded(to->rounded + at, v, to->range, count);
    } else if (OUNCE_LIKELY(count >= OUNCE_LANES)) {
        memcpy(to->real + at, &v, sizeof v);
    } else {
        store_some(to->real + at, &v, sizeof(float), count);
    }
}

OUNCE_INLINE void s8_tile(const s8_product *p, const s8_result *to, int64_t first, int64_t rows, int64_t panel,
                          const int panels) {
    const int64_t width = p->groups * S8_GROUP, panel_bytes = (int64_t)sizeof(v16i) + p->groups * S8_STEP;
    const char *b = p->columns + panel * panel_bytes;
    v16i acc[S8_ROWS][S8_PANELS];
    const s8_number *x[S8_ROWS];
    OUNCE_UNROLL for (int row = 0; row < S8_ROWS; row++) {
        x[row] = p->rows + (first + ounce_min64(row, rows - 1)) * width;
        OUNCE_UNROLL for (int i = 0; i < panels; i++) acc[row][i] = LOAD(v16i, b + i * panel_bytes);
    }
    b += sizeof(v16i);
    for (int64_t at = 0; at < width; at += S8_GROUP, b += S8_STEP) {
        s8_wide wide[S8_PANELS];
        OUNCE_UNROLL for (int i = 0; i < panels; i++) wide[i] = s8_load(b + i * panel_bytes);
        OUNCE_UNROLL for (int row = 0; row < S8_ROWS; row++) {
            const s8_word word = s8_spread(x[row] + at);
            OUNCE_UNROLL for (int i = 0; i < panels; i++) acc[row][i] = s8_dot(acc[row][i], word, wide[i]);
        }
    }
    OUNCE_UNROLL for (int row = 0; row < S8_ROWS; row++) {
        if (row >= rows) break;
        OUNCE_UNROLL for (int i = 0; i < panels; i++) {
            const int64_t column = (panel + i) * OUNCE_LANES;
            v16i sum = acc[row][i];
            if (S8_GROUP == 4) sum = (v16i)((v16u)sum + (uint32_t)p->row_terms[first + row]);
            s8_store(to, first + row, column, sum, p->n - column);
        }
    }
}

// The product of the first `rows` packed rows and all packed columns.
OUNCE_INLINE void s8_multiply(const s8_product *p, const s8_result *to, int64_t rows) {
    for (int64_t panel = 0; panel < p->panels;) {
        const int64_t left = p->panels - panel;
        const int panels = left >= S8_PANELS ? S8_PANELS : left >= 2 ? 2 : 1;
        for (int64_t row = 0; row < rows; row += S8_ROWS) {
            if (panels == S8_PANELS) {
                s8_tile(p, to, row, rows - row, panel, S8_PANELS);
            } else if (S8_PANELS > 2 && panels == 2) {
                s8_tile(p, to, row, rows - row, panel, S8_PANELS > 2 ? 2 : 1);
            } else {
                s8_tile(p, to, row, rows - row, panel, 1);
            }
        }
        panel += panels;
    }
}
