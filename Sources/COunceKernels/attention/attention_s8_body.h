// Attention on int8 numbers; compiled once for each instruction set, with matmul_s8_tile.h. A unit is the queries of
// MATMUL_S8_TILE rows: their scores, then their weights stay in the scratch. Keys and values of a head are packed once for
// all units of it that come together.
#include "../math/polynomials.h"
#include "attention_s8.h"

// `step` is 0 for one number for the whole row.
OUNCE_INLINE void s8_add_mask(float *restrict x, const float *mask, int64_t step, int64_t n) {
    if (step) {
        for (int64_t i = 0; i < n; i++) x[i] = x[i] + mask[i];
    } else {
        for (int64_t i = 0; i < n; i++) x[i] = x[i] + mask[0];
    }
}

// u for v = x - top where v is at most 0: ounce_exp_inline with one factor for 2^n, which is exact above -10, times 256. What
// lies below rounds to 0 as -10 does.
OUNCE_INLINE v16i s8_weight(v16f v) {
    const v16f least = splat(-10.0f), magic = splat(12582912.0f), most = splat(255.0f);
    v = SELECT(v16f, v > least, v, least);
    const v16f shifted = __builtin_elementwise_fma(v, splat(1.44269504f), magic), n = shifted - magic;
    v16f r = __builtin_elementwise_fma(n, splat(-0.693145751953125f), v);
    r = __builtin_elementwise_fma(n, splat(-1.42860677e-6f), r);
    v16f p = splat(1.0f / 5040);
    p = __builtin_elementwise_fma(p, r, splat(1.0f / 720));
    p = __builtin_elementwise_fma(p, r, splat(1.0f / 120));
    p = __builtin_elementwise_fma(p, r, splat(1.0f / 24));
    p = __builtin_elementwise_fma(p, r, splat(1.0f / 6));
    p = __builtin_elementwise_fma(p, r, splat(0.5f));
    p = __builtin_elementwise_fma(p, r, splat(1.0f));
    p = __builtin_elementwise_fma(p, r, splat(1.0f));
    v16f e = p * (v16f)(((v16u)shifted << 23) + (135u << 23));
    e = SELECT(v16f, e < most, e, most);
    return (v16i)((v16u)(e + magic) & 0xFFu);
}

// Any numbers, by the contract.
OUNCE_INLINE int32_t s8_strange_weights(const float *x, int64_t n, s8_number *to) {
    float top = x[0];
    int32_t sum = 0;
    for (int64_t i = 1; i < n; i++) top = top > x[i] ? top : x[i];
    for (int64_t i = 0; i < n; i++) {
        float e = ounce_exp_inline(x[i] - top) * 256.0f;
        e = e == e ? e : 0.0f;
        const int32_t u = ounce_rne(e < 255.0f ? e : 255.0f);
        to[i] = (s8_number)(S8_GROUP == 4 ? u ^ 0x80 ^ S8_FLIP : u);
        sum += u;
    }
    return sum;
}

// The weights of a row of scores, ready to be multiplied; returns their sum. Behind the scores is room for another 15, and
// for as many weights.
OUNCE_INLINE int32_t s8_weights(float *x, int64_t n, s8_number *to) {
    const v16f infinity = splat(__builtin_inff());
    for (int64_t i = n; i % OUNCE_LANES; i++) x[i] = -__builtin_inff();
    v16f most = LOAD(v16f, x);
    v16i strange = most != most, sums = {0};
    for (int64_t i = OUNCE_LANES; i < n; i += OUNCE_LANES) {
        const v16f v = LOAD(v16f, x + i);
        strange |= v != v;
        most = SELECT(v16f, v > most, v, most);
    }
    strange |= (most == infinity);
    v16f other = __builtin_shufflevector(most, most, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
    most = SELECT(v16f, other > most, other, most);
    other = __builtin_shufflevector(most, most, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
    most = SELECT(v16f, other > most, other, most);
    float top = most[0];
    for (int lane = 1; lane < 4; lane++) top = most[lane] > top ? most[lane] : top;
    if (__builtin_reduce_or(strange) || top == -__builtin_inff()) return s8_strange_weights(x, n, to);
    for (int64_t i = 0; i < n; i += OUNCE_LANES, to += OUNCE_LANES) {
        const v16i u = s8_weight(LOAD(v16f, x + i) - splat(top));
        sums += u;
#if S8_GROUP == 4
        const v16b numbers = __builtin_convertvector(u ^ (0x80 ^ S8_FLIP), v16b);
#else
        const v16s numbers = __builtin_convertvector(u, v16s);
#endif
        memcpy(to, &numbers, sizeof numbers);
    }
    return __builtin_reduce_add(sums);
}

void OUNCE_NAME(attention_s8)(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_attention_s8_params *p = call->params;
    const attention_s8_scratch s = make_attention_s8_scratch(p, call->scratch);
    const int64_t tiles = ounce_ceil_div(p->m, MATMUL_S8_TILE);
    float totals[MATMUL_S8_TILE];
    s8_product scores = make_s8_product(p->k, p->n, p->q_zero, p->k_zero, s.rows, s.keys);
    s8_product sums = make_s8_product(p->n, p->v, -128, p->v_zero, s.rows, s.values);
    const int64_t stride = ounce_ceil_div(p->n, OUNCE_LANES) * OUNCE_LANES, width = sums.groups * S8_GROUP;
    const s8_result to_scores = {.real = s.scores, .row = stride, .scale = p->score_scale};
    s8_result to = {.row = p->out_row,
                    .scale = p->value_scale,
                    .range = ounce_make_range(-128, 127, p->out_zero),
                    .totals = totals,
                    .out_scale = p->out_scale};
    for (int64_t unit = begin; unit < end; unit++) {
        const int64_t batch = unit / tiles, first = unit % tiles * MATMUL_S8_TILE;
        const int64_t rows = ounce_min64(p->m - first, MATMUL_S8_TILE);
        const int64_t *offsets = p->offsets + 5 * batch;
        if (unit == begin || first == 0) {
            s8_pack_columns(&scores, (const int8_t *)call->in[1] + offsets[1], p->k_row);
            s8_pack_columns(&sums, (const int8_t *)call->in[2] + offsets[2], p->v_row);
        }
        s8_pack_rows(&scores, (const int8_t *)call->in[0] + offsets[0] + first * p->q_row, p->q_row, rows);
        s8_multiply(&scores, &to_scores, rows);
        const float *mask = call->in[3] ? (const float *)call->in[3] + offsets[3] + first * p->mask_row : NULL;
        for (int64_t row = 0; row < rows; row++) {
            float *x = s.scores + row * stride;
            if (mask) s8_add_mask(x, mask + row * p->mask_row, p->mask_column, p->n);
            const int32_t sum = s8_weights(x, p->n, sums.rows + row * width);
            totals[row] = (float)sum / 256.0f;
            sums.row_terms[row] = ounce_wrap_mul(-p->v_zero, S8_FLIP ? sum : (int32_t)(sum - 128 * p->n));
        }
        const int64_t at = offsets[4] + first * p->out_row;
        if (p->real_out) to.real = (float *)call->out + at;
        else to.rounded = (int8_t *)call->out + at;
        s8_multiply(&sums, &to, rows);
    }
}
