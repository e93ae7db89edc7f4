// The run function. The including file defines TILE_INPUT (the type of the image's elements), XNOR_ELEMENTS(p) (elements of
// a pixel), XNOR_GROUP (inputs of which a whole number makes whole elements), XNOR_STEP and XNOR_STEP_BYTES (elements of
// a step and what it takes of a panel), XNOR_BEFORE (bytes before the panels) and xnor_make(): the elements of a run of
// inputs; it returns whether one of them is 0.

// Makes the rows of the image from `row` up to `end` (counted through the images).
static void make_rows(const ounce_call *call, xnor_image *image, int64_t row, int64_t end) {
    const ounce_conv_params *p = call->params;
    const int whole = p->in_pixel == p->in_c && p->in_c % XNOR_GROUP == 0;
    const int64_t pixels = whole ? 1 : image->width, count = whole ? image->width * p->in_c : p->in_c;
    for (; row < end; row++) {
        const int8_t *in = (const int8_t *)call->in[0] + row / image->height * p->in_image +
                           row % image->height * p->in_row;
        const int64_t to = row * image->p.in_row;
        for (int64_t x = 0; x < pixels; x++) {
            const int some = xnor_make(in + x * p->in_pixel, count, call->scratch, image, to + x * image->p.in_pixel);
            image->p.in_ternary |= some;
        }
    }
}

void OUNCE_CONCAT(OUNCE_NAME(conv_s8), _xnor)(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_conv_params *p = call->params;
    xnor_image image = make_xnor_image(p, XNOR_ELEMENTS(p));
    const conv_shape s = make_conv_shape(&image.p);
    tile_call t = {.panel_bytes = xnor_panel_bytes(&s, XNOR_STEP, XNOR_STEP_BYTES), .shape = &s, .p = &image.p,
                   .residual = residual_offset(call)};
    const int64_t below = (int64_t)(p->kernel_h - 1) * p->dilation_h + 1;
    tile_pixels pixels = {.count = 0};
    const TILE_INPUT *x[TILE_PIXELS];
    int8_t *out[TILE_PIXELS];
    int64_t made = 0;
    for (int64_t unit = begin, current = -1; unit < end; unit++) {
        if (unit / s.blocks != current) {
            current = unit / s.blocks;
            make_tile_pixels(&image.p, &s, current, &pixels);
            made = ounce_max64(made, pixels.in[0] / image.p.in_row);
            const int64_t needed = pixels.in[pixels.count - 1] / image.p.in_row + below;
            if (made < needed) make_rows(call, &image, made, needed), made = needed;
            for (int64_t m = 0; m < pixels.count; m++) {
                x[m] = (const TILE_INPUT *)call->scratch + pixels.in[m];
                out[m] = (int8_t *)call->out + pixels.out[m];
            }
        }
        tile_unit(&t, x, out, pixels.count, unit % s.blocks, (const char *)call->packed + XNOR_BEFORE);
    }
}
