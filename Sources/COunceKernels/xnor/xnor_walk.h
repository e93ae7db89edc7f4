// The run function of kernels that take the bits of a tile of pixels from scratch: OUNCE_XNOR_WORD is the type of a word,
// xnor_pack_row() makes the bits of a row of bytes.
void OUNCE_CONCAT(OUNCE_NAME(conv_s8), _xnor)(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_conv_params *p = call->params;
    const conv_shape s = make_conv_shape(p);
    tile_call t = {.shape = &s, .p = p};
    t.panel_bytes = xnor_panel_bytes(&s, 8 * sizeof(OUNCE_XNOR_WORD), sizeof(OUNCE_XNOR_WORD) * OUNCE_LANES);
    const int64_t padded = xnor_padded(&s);
    int8_t *row = call->scratch;
    char *bits = (char *)row + padded;
    const size_t pixel_bytes = sizeof(xnor_head) + 2 * (size_t)padded / 8;
    tile_pixels pixels = {.count = 0};
    const OUNCE_XNOR_WORD *x[TILE_PIXELS];
    int8_t *out[TILE_PIXELS];
    for (int64_t unit = begin, current = -1; unit < end; unit++) {
        if (unit / s.blocks != current) {
            current = unit / s.blocks;
            make_tile_pixels(p, &s, current, &pixels);
            for (int64_t m = 0; m < pixels.count; m++) {
                xnor_gather((const int8_t *)call->in[0] + pixels.in[m], &s, row);
                char *to = bits + (size_t)m * pixel_bytes;
                ((xnor_head *)to)->count = xnor_pack_row(row, padded, (OUNCE_XNOR_WORD *)(to + sizeof(xnor_head)));
                x[m] = (const OUNCE_XNOR_WORD *)to;
                out[m] = (int8_t *)call->out + pixels.out[m];
            }
        }
        tile_unit(&t, x, out, pixels.count, unit % s.blocks, call->packed);
    }
}
