// The scratch of attention on int8 numbers.
#ifndef OUNCE_ATTENTION_S8_H
#define OUNCE_ATTENTION_S8_H

#include "../matmul/matmul_s8.h"

typedef struct {
    void *rows, *keys, *values;
    float *scores;  // rows of a multiple of 16
    size_t bytes;
} attention_s8_scratch;

OUNCE_INLINE attention_s8_scratch make_attention_s8_scratch(const ounce_attention_s8_params *p, char *start) {
    // 15 more weights than there are, where these fill whole vectors.
    const size_t keys = matmul_s8_tile_bytes(ounce_max64(p->k, p->n)) + 64;
    const size_t values = keys + matmul_s8_column_bytes(p->k, p->n);
    const size_t scores = values + matmul_s8_column_bytes(p->n, p->v);
    const size_t bytes = scores + (size_t)(MATMUL_S8_TILE * ounce_ceil_div(p->n, 16)) * 16 * sizeof(float);
    if (!start) return (attention_s8_scratch){.bytes = bytes};
    return (attention_s8_scratch){start, start + keys, start + values, (float *)(start + scores), bytes};
}

#endif
