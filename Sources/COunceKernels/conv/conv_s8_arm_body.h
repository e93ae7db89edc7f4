// Int8 convolution for 64-bit ARM: the sums of up to ARM_PIXELS pixels and 16 channels stay in registers, and sixteen
// successive inputs of a pixel are loaded at once. Compiled once for each instruction set. The including file defines
// ARM_PIXELS, ARM_GROUP (successive inputs that one instruction multiplies), ARM_ALONE (panels at once of a pixel
// alone), ARM_VARIANTS(V) with V(pixels, panels at once) for each compiled variant, fewest pixels first, and
//   sums                               of `pixels` pixels and one panel
//   sums_start(s, start, pixels)       from the panel's sixteen start values
//   sums_add(s, x, w, pixels, groups)  adds groups of inputs: x[m] begins with those of pixel m, w with their weights
//   sums_pixel(s, m)                   the sixteen sums of pixel m
#include "../requantise_neon.h"
#include "tile.h"

typedef struct {
    const int8_t *x[ARM_PIXELS];
    int8_t *out[ARM_PIXELS];
    int64_t count, panels, channels;  // pixels, panels and channels to store
    const char *panel;
    size_t panel_bytes;
    const conv_shape *shape;
    neon_range range;
} arm_tile;

// Keeps the compiler from replacing a variable by ones that it derives from others.
#define ARM_OPAQUE(variable) __asm__("" : "+r"(variable))

OUNCE_INLINE void arm_tile_run(const arm_tile *t, const int pixels, const int at_once) {
    const conv_shape shape = *t->shape;
    const size_t panel_bytes = t->panel_bytes;
    const neon_range range = t->range;
    const char *panel = t->panel;
    int64_t channels = t->channels;
    const int8_t *x[ARM_PIXELS];
    OUNCE_UNROLL for (int m = 0; m < pixels; m++) x[m] = t->x[m];
    for (int64_t first = 0; first + at_once <= t->panels; first += at_once) {
        sums s[TILE_PANELS];
        OUNCE_UNROLL for (int n = 0; n < at_once; n++) sums_start(&s[n], panel + (size_t)n * panel_bytes, pixels);
        const int8_t *w = (const int8_t *)panel + PANEL_HEADER;
#define ADD(groups)                                                                                     \
    {                                                                                                   \
        int8x16_t v[ARM_PIXELS];                                                                        \
        OUNCE_UNROLL for (int m = 0; m < pixels; m++) v[m] = vld1q_s8(x[m] + k);                        \
        OUNCE_UNROLL for (int n = 0; n < at_once; n++) {                                                \
            sums_add(&s[n], v, w + (size_t)n * panel_bytes, pixels, groups);                            \
        }                                                                                               \
        w += (groups) * ARM_GROUP * OUNCE_LANES;                                                        \
        ARM_OPAQUE(w);                                                                                  \
    }
        for (int64_t row = 0, row_at = 0; row < shape.rows; row++, row_at += shape.row_step) {
            for (int64_t column = 0, k_at = row_at; column < shape.columns; column++, k_at += shape.column_step) {
                int64_t k = k_at;
                ARM_OPAQUE(k);
                int64_t rest = shape.length;
                for (; rest >= 16; rest -= 16, k += 16) ADD(16 / ARM_GROUP)
                if (rest > 8) {
                    if (ARM_GROUP == 8 || rest > 12) ADD(16 / ARM_GROUP) else ADD(12 / ARM_GROUP)
                } else if (rest > 0) {
                    if (ARM_GROUP == 8 || rest > 4) ADD(8 / ARM_GROUP) else ADD(1)
                }
            }
        }
#undef ADD
        OUNCE_UNROLL for (int n = 0; n < at_once; n++) {
            const float *from = (const float *)(panel + (size_t)n * panel_bytes) + OUNCE_LANES;
            const float32x4_t scale[4] = {vld1q_f32(from), vld1q_f32(from + 4), vld1q_f32(from + 8),
                                          vld1q_f32(from + 12)};
            const int64_t at = (first + n) * OUNCE_LANES;
            if (OUNCE_LIKELY(t->count == pixels && channels >= OUNCE_LANES)) {
                OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
                    vst1q_s8(t->out[m] + at, requantised(sums_pixel(&s[n], m), scale, range));
                }
            } else {
                int8x16_t q[ARM_PIXELS];
                OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
                    q[m] = requantised(sums_pixel(&s[n], m), scale, range);
                }
                for (int64_t m = 0; m < t->count; m++) neon_store_some(t->out[m] + at, &q[m], channels);
            }
            channels -= OUNCE_LANES;
        }
        panel += at_once * panel_bytes;
    }
}

#define ARM_DEFINE(mr, nv) \
    static __attribute__((noinline)) void arm_tile_##mr##_##nv(const arm_tile *t) { arm_tile_run(t, mr, nv); }
ARM_VARIANTS(ARM_DEFINE)
#undef ARM_DEFINE

static void arm_dispatch(const arm_tile *t, int64_t at_once) {
#define ARM_CALL(mr, nv) \
    if (at_once == nv && t->count <= mr) return arm_tile_##mr##_##nv(t);
    ARM_VARIANTS(ARM_CALL)
#undef ARM_CALL
}

// A pixel of the output, and where its first input and its output stand.
typedef struct {
    int64_t x, y, in, out;
} arm_pixel;

// What leads from a pixel to the next: along the row, to the next row and to the next image.
typedef struct {
    int64_t width, height, in[3], out[3];
} arm_steps;

OUNCE_INLINE arm_steps make_arm_steps(const ounce_conv_params *p) {
    const int64_t in_pixel = p->stride_w * p->in_pixel, in_row = p->stride_h * p->in_row;
    return (arm_steps){
        p->out_w, p->out_h,
        {in_pixel, in_row - p->out_w * in_pixel, p->in_image - p->out_h * in_row},
        {p->out_pixel, p->out_row - p->out_w * p->out_pixel, p->out_image - p->out_h * p->out_row},
    };
}

OUNCE_INLINE void arm_pixel_next(const arm_steps *s, arm_pixel *a) {
    a->in += s->in[0];
    a->out += s->out[0];
    if (OUNCE_LIKELY(++a->x < s->width)) return;
    a->x = 0;
    a->in += s->in[1];
    a->out += s->out[1];
    if (OUNCE_LIKELY(++a->y < s->height)) return;
    a->y = 0;
    a->in += s->in[2];
    a->out += s->out[2];
}

// The pixels begin..<end by t's panels; `at` is the first one and becomes the one after the last.
OUNCE_INLINE void arm_pixels(const ounce_call *call, arm_tile *t, const arm_steps *steps, arm_pixel *at, int64_t count) {
    const arm_tile all = *t;
    const int64_t offset = ((const ounce_conv_params *)call->params)->out_c - all.channels;
    while (count > 0) {
        t->count = ounce_min64(ARM_PIXELS, count);
        for (int64_t m = 0; m < ARM_PIXELS; m++) {  // places past the last pixel repeat it
            t->x[m] = (const int8_t *)call->in[0] + at->in;
            t->out[m] = (int8_t *)call->out + at->out + offset;
            if (m + 1 < t->count) arm_pixel_next(steps, at);
        }
        arm_pixel_next(steps, at);
        count -= t->count;
        if (t->count > 1 || all.panels < ARM_ALONE) {
            arm_dispatch(t, 1);
            continue;
        }
        t->panels = all.panels / ARM_ALONE * ARM_ALONE;
        arm_dispatch(t, ARM_ALONE);
        t->panel += (size_t)t->panels * t->panel_bytes;
        t->channels -= t->panels * OUNCE_LANES;
        t->out[0] += t->panels * OUNCE_LANES;
        t->panels = all.panels - t->panels;
        arm_dispatch(t, 1);
        t->panel = all.panel;
        t->channels = all.channels;
        t->panels = all.panels;
    }
}

void OUNCE_NAME(conv_s8)(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_conv_params *p = call->params;
    const conv_shape s = make_conv_shape(p);
    const arm_steps steps = make_arm_steps(p);
    arm_tile t = {.panel_bytes = s8_panel_bytes(&s, ARM_GROUP, 1), .shape = &s,
                  .range = make_neon_range(p->out_min, p->out_max, p->out_zero)};
    arm_pixel at = {0};
    for (int64_t unit = begin, known = -1; unit < end;) {
        const int64_t tile = unit / s.blocks, first = tile * TILE_PIXELS, panel = unit % s.blocks * TILE_PANELS;
        if (first != known) {
            ounce_conv_offsets(p, first, s.pixels, 1, &at.in, &at.out);
            at.x = first % p->out_w;
            at.y = first / p->out_w % p->out_h;
        }
        known = ounce_min64(s.pixels, first + TILE_PIXELS);
        const int64_t until = ounce_min64(end, (tile + 1) * s.blocks);
        t.panels = ounce_min64(s.panels - panel, (until - unit) * TILE_PANELS);
        t.panel = (const char *)call->packed + (size_t)panel * t.panel_bytes;
        t.channels = p->out_c - panel * OUNCE_LANES;
        arm_pixels(call, &t, &steps, &at, known - first);
        unit = until;
    }
}
