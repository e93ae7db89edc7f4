// The run function of int8 kernels that read the input in place; TILE_PANEL_BYTES gives a panel's size for a shape.
void OUNCE_NAME(conv_s8)(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_conv_params *p = call->params;
    const conv_shape s = make_conv_shape(p);
    tile_call t = {.panel_bytes = TILE_PANEL_BYTES(&s), .shape = &s, .p = p,
                   .residual = residual_offset(call)};
    tile_pixels pixels = {.count = 0};
    const int8_t *x[TILE_PIXELS];
    int8_t *out[TILE_PIXELS];
    for (int64_t unit = begin, current = -1; unit < end; unit++) {
        if (unit / s.blocks != current) {
            current = unit / s.blocks;
            make_tile_pixels(p, &s, current, &pixels);
            for (int m = 0; m < TILE_PIXELS; m++) {
                x[m] = (const int8_t *)call->in[0] + pixels.in[m];
                out[m] = (int8_t *)call->out + pixels.out[m];
            }
        }
        tile_unit(&t, x, out, pixels.count, unit % s.blocks, call->packed);
    }
}
