// Int8 convolution for 64-bit ARM: the sums of up to ARM_PIXELS pixels and 16 channels stay in registers, and sixteen
// successive inputs of a pixel are loaded at once. Compiled once for each instruction set. The including file defines
// ARM_PIXELS, ARM_GROUP (successive inputs that one instruction multiplies), ARM_ALONE (panels at once of a pixel
// alone), ARM_VARIANTS(V) with V(pixels, panels at once) for each compiled variant, of these ARM_RUN_WHOLE for ARM_PIXELS
// pixels, ARM_RUN_ALONE for one, and ARM_REST (which one for 1, 2, … pixels), and
//   sums                               of `pixels` pixels and one panel
//   sums_start(s, start, pixels)       from the panel's sixteen start values
//   sums_add(s, x, w, pixels, groups)  adds groups of inputs: x[m] begins with those of pixel m, w with their weights
//   sums_pixel(s, m)                   the sixteen sums of pixel m
#include "../requantise_neon.h"
#include "tile.h"

#define ARM_TILES 4  // of TILE_PIXELS pixels at once, where the inputs of so many stay in the cache
#define ARM_CACHED 16384

// The pixels of some units, and the panels to compute.
typedef struct {
    const int8_t *x[ARM_TILES * TILE_PIXELS + 1];  // the place past the last pixel repeats it
    int8_t *out[ARM_TILES * TILE_PIXELS + 1];
    int64_t count, panels, channels;
    const char *panel;
    size_t panel_bytes;
    const conv_shape *shape;
    neon_range range;
} arm_tile;

// Keeps the compiler from replacing a variable by ones that it derives from others.
#define ARM_OPAQUE(variable) __asm__("" : "+r"(variable))

OUNCE_INLINE void arm_add(const conv_shape *shape, const int8_t *const *from, const int8_t *w, size_t panel_bytes,
                          sums *s, const int pixels, const int at_once) {
    const int8_t *x[ARM_PIXELS];
    OUNCE_UNROLL for (int m = 0; m < pixels; m++) x[m] = from[m];
#define ADD(groups)                                                                      \
    {                                                                                    \
        int8x16_t v[ARM_PIXELS];                                                         \
        OUNCE_UNROLL for (int m = 0; m < pixels; m++) v[m] = vld1q_s8(x[m] + k);         \
        OUNCE_UNROLL for (int n = 0; n < at_once; n++) {                                 \
            sums_add(&s[n], v, w + (size_t)n * panel_bytes, pixels, groups);             \
        }                                                                                \
        w += (groups) * ARM_GROUP * OUNCE_LANES;                                         \
        ARM_OPAQUE(w);                                                                   \
    }
    for (int64_t row = 0, row_at = 0; row < shape->rows; row++, row_at += shape->row_step) {
        for (int64_t column = 0, k_at = row_at; column < shape->columns; column++, k_at += shape->column_step) {
            int64_t k = k_at;
            ARM_OPAQUE(k);
            int64_t rest = shape->length;
            for (; rest >= 16; rest -= 16, k += 16) ADD(16 / ARM_GROUP)
            if (rest > 8) {
                if (ARM_GROUP == 8 || rest > 12) ADD(16 / ARM_GROUP) else ADD(12 / ARM_GROUP)
            } else if (rest > 0) {
                if (ARM_GROUP == 8 || rest > 4) ADD(8 / ARM_GROUP) else ADD(1)
            }
        }
    }
#undef ADD
}

static __attribute__((noinline)) void arm_store_some(int8_t *const *out, int64_t at, const int8x16_t *q, int64_t count,
                                                     int64_t channels) {
    for (int64_t m = 0; m < count; m++) neon_store_some(out[m] + at, &q[m], channels);
}

// Requantises and stores `count` pixels of the panel.
OUNCE_INLINE void arm_store(const sums *s, const char *panel, int8_t *const *out, int64_t at, int64_t channels,
                            neon_range range, int64_t count, const int pixels) {
    const float *from = (const float *)panel + OUNCE_LANES;
    const float32x4_t scale[4] = {vld1q_f32(from), vld1q_f32(from + 4), vld1q_f32(from + 8), vld1q_f32(from + 12)};
    if (OUNCE_LIKELY(count >= pixels && channels >= OUNCE_LANES)) {
        OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
            vst1q_s8(out[m] + at, requantised(sums_pixel(s, m), scale, range));
        }
        return;
    }
    int8x16_t q[ARM_PIXELS];
    OUNCE_UNROLL for (int m = 0; m < pixels; m++) q[m] = requantised(sums_pixel(s, m), scale, range);
    arm_store_some(out, at, q, ounce_min64(count, pixels), channels);
}

// Groups of `pixels` pixels from `first` on, as long as pixels are left, by all panels, `at_once` of them at a time.
OUNCE_INLINE void arm_run(const arm_tile *t, int64_t first, int64_t end, const int pixels, const int at_once) {
    const conv_shape shape = *t->shape;
    const size_t panel_bytes = t->panel_bytes;
    const neon_range range = t->range;
    const char *panel = t->panel;
    for (int64_t i = 0; i + at_once <= t->panels; i += at_once, panel += at_once * panel_bytes) {
        for (int64_t group = first; group < end; group += pixels) {
            sums s[TILE_PANELS];
            OUNCE_UNROLL for (int n = 0; n < at_once; n++) sums_start(&s[n], panel + (size_t)n * panel_bytes, pixels);
            arm_add(&shape, t->x + group, (const int8_t *)panel + PANEL_HEADER, panel_bytes, s, pixels, at_once);
            OUNCE_UNROLL for (int n = 0; n < at_once; n++) {
                const int64_t at = (i + n) * OUNCE_LANES;
                arm_store(&s[n], panel + (size_t)n * panel_bytes, t->out + group, at, t->channels - at, range,
                          t->count - group, pixels);
            }
        }
    }
}

typedef void (*arm_variant)(const arm_tile *t, int64_t first, int64_t end);
#define ARM_DEFINE(pixels, at_once)                                                              \
    static void arm_run_##pixels##_##at_once(const arm_tile *t, int64_t first, int64_t end) {    \
        arm_run(t, first, end, pixels, at_once);                                                 \
    }
ARM_VARIANTS(ARM_DEFINE)
#undef ARM_DEFINE

// All of t.
static void arm_unit(arm_tile *t) {
    static const arm_variant rest[] = {ARM_REST};
    if (t->count == 1 && t->panels >= ARM_ALONE) {
        const int64_t panels = t->panels, most = panels / ARM_ALONE * ARM_ALONE;
        t->panels = most;
        ARM_RUN_ALONE(t, 0, 1);
        t->panel += (size_t)most * t->panel_bytes;
        t->channels -= most * OUNCE_LANES;
        t->out[0] += most * OUNCE_LANES;
        t->out[1] = t->out[0];
        t->panels = panels - most;
    }
    const int64_t whole = t->count / ARM_PIXELS * ARM_PIXELS;
    if (whole > 0) ARM_RUN_WHOLE(t, 0, whole);
    if (whole < t->count) rest[t->count - whole - 1](t, whole, t->count);
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

// Fills in t's pixels from `at` on; `at` becomes the one after the last.
OUNCE_INLINE void arm_pixels(arm_tile *t, const int8_t *in, int8_t *out, const arm_steps *steps, arm_pixel *at) {
    in += at->in;
    out += at->out;
    const int8_t *const in_start = in;
    int8_t *const out_start = out;
    for (int64_t m = 0; m < t->count;) {
        const int64_t run = ounce_min64(t->count - m, steps->width - at->x), end = m + run;
        for (; m < end; m++, in += steps->in[0], out += steps->out[0]) t->x[m] = in, t->out[m] = out;
        if ((at->x += run) < steps->width) break;
        at->x = 0;
        in += steps->in[1];
        out += steps->out[1];
        if (++at->y < steps->height) continue;
        at->y = 0;
        in += steps->in[2];
        out += steps->out[2];
    }
    at->in += in - in_start;
    at->out += out - out_start;
    t->x[t->count] = t->x[t->count - 1];
    t->out[t->count] = t->out[t->count - 1];
}

void OUNCE_NAME(conv_s8)(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_conv_params *p = call->params;
    const conv_shape s = make_conv_shape(p);
    const arm_steps steps = make_arm_steps(p);
    arm_tile t = {.panel_bytes = s8_panel_bytes(&s, ARM_GROUP, 1), .shape = &s,
                  .range = make_neon_range(p->out_min, p->out_max, p->out_zero)};
    const int64_t cached = ARM_CACHED / (TILE_PIXELS * s.rows * s.columns * s.length);
    arm_pixel at = {0};
    for (int64_t unit = begin, known = -1; unit < end;) {
        const int64_t tile = unit / s.blocks, first = tile * TILE_PIXELS, panel = unit % s.blocks * TILE_PANELS;
        if (first != known) {
            ounce_conv_offsets(p, first, s.pixels, 1, &at.in, &at.out);
            at.x = first % p->out_w;
            at.y = first / p->out_w % p->out_h;
        }
        const int64_t whole = panel == 0 ? ounce_min64(cached, (end - unit) / s.blocks) : 0;
        const int64_t tiles = ounce_max64(1, ounce_min64(whole, ARM_TILES));
        t.count = ounce_min64(tiles * TILE_PIXELS, s.pixels - first);
        known = first + t.count;
        const int64_t until = ounce_min64(end, (tile + tiles) * s.blocks);
        t.panels = ounce_min64(s.panels - panel, (until - unit) * TILE_PANELS);
        t.panel = (const char *)call->packed + (size_t)panel * t.panel_bytes;
        t.channels = p->out_c - panel * OUNCE_LANES;
        arm_pixels(&t, call->in[0], (int8_t *)call->out + panel * OUNCE_LANES, &steps, &at);
        if (p->has_residual) {
            const arm_tile done = t;
            arm_unit(&t);
            ADD_RESIDUAL(p, done.out, 0, residual_offset(call), done.count,
                         ounce_min64(done.channels, done.panels * OUNCE_LANES))
        } else {
            arm_unit(&t);
        }
        unit = until;
    }
}
