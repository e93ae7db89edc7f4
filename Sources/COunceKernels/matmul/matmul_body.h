// Products of computed matrices; compiled once for each instruction set, with matmul_rows of matmul_tile.h or
// matmul_plain.h. A unit is MATMUL_TILE rows.

void OUNCE_NAME(matmul_f32)(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_matmul_params *p = call->params;
    const int64_t tiles = ounce_ceil_div(p->m, MATMUL_TILE);
    for (int64_t unit = begin; unit < end; unit++) {
        const int64_t batch = unit / tiles, first = unit % tiles * MATMUL_TILE;
        const float *a = (const float *)call->in[0] + p->offsets[2 * batch] + first * p->k;
        const float *b = (const float *)call->in[1] + p->offsets[2 * batch + 1];
        float *out = (float *)call->out + (batch * p->m + first) * p->n;
        matmul_rows(a, b, out, p->k, p->n, ounce_min64(p->m - first, MATMUL_TILE));
    }
}
