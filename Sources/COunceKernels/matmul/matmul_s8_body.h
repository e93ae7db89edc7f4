// Products of computed int8 matrices; compiled once for each instruction set. A unit is MATMUL_S8_TILE rows; the right
// matrix of a pair is packed once for all units of it that come together.

void OUNCE_NAME(matmul_s8)(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_matmul_s8_params *p = call->params;
    const int64_t tiles = ounce_ceil_div(p->m, MATMUL_S8_TILE);
    char *scratch = call->scratch;
    s8_product product =
        make_s8_product(p->k, p->n, p->a_zero, p->b_zero, scratch, scratch + matmul_s8_tile_bytes(p->k));
    s8_result to = {.row = p->out_row,
                    .scale = p->scale,
                    .range = ounce_make_range(p->out_min, p->out_max, p->out_zero)};
    for (int64_t unit = begin; unit < end; unit++) {
        const int64_t batch = unit / tiles, first = unit % tiles * MATMUL_S8_TILE;
        const int64_t rows = ounce_min64(p->m - first, MATMUL_S8_TILE);
        const int64_t *offsets = p->offsets + 3 * batch;
        if (unit == begin || first == 0) {
            s8_pack_columns(&product, (const int8_t *)call->in[1] + offsets[1], p->b_row);
        }
        s8_pack_rows(&product, (const int8_t *)call->in[0] + offsets[0] + first * p->a_row, p->a_row, rows);
        const int64_t at = offsets[2] + first * p->out_row;
        if (p->real_out) to.real = (float *)call->out + at;
        else to.rounded = (int8_t *)call->out + at;
        s8_multiply(&product, &to, rows);
    }
}
