// Float depthwise convolution, sixteen channels at a time; compiled once for each instruction set. The including file defines
// DEPTHWISE_TOGETHER: output pixels whose sums are formed side by side. Packed: for each 16 channels 16 biases, then
// [tap][16]. A unit is an output row.
#include "depthwise.h"

_Static_assert(DEPTHWISE_TOGETHER <= 8, "row_tiles");

typedef struct {
    const depthwise_view *v;
    const char *panel;
    const float *in;  // the row's first pixel, at the panel's first channel
    float *out;
    int64_t lanes;    // to store, from the row's first pixel on
} row_call;

OUNCE_INLINE void row_store(const row_call *r, int64_t x, const v16f *acc, const int count) {
    const depthwise_view *v = r->v;
    const int64_t out_step = v->p.out_pixel, fewer = v->fold > 1 ? OUNCE_LANES : 0;
    const int64_t lanes = r->lanes - x * fewer;
    float *out = r->out + x * out_step;
    const float min = v->p.min, max = v->p.max;
    if (OUNCE_LIKELY(lanes - (count - 1) * fewer >= OUNCE_LANES)) {
        OUNCE_UNROLL for (int m = 0; m < count; m++, out += out_step) {
            store_clamped(out, acc[m], min, max, OUNCE_LANES);
        }
    } else {
        OUNCE_UNROLL for (int m = 0; m < count; m++, out += out_step) {
            store_clamped(out, acc[m], min, max, lanes - m * fewer);
        }
    }
}

// `count` pixels from x on. Each place that several of them read is loaded once: `three` columns `stride` apart. 0: any
// kernel, stride and dilation, each tap by itself.
OUNCE_INLINE void row_pixels(const row_call *r, int64_t x, const int count, const int stride) {
    const depthwise_view *v = r->v;
    const float *in = r->in + x * v->p.stride_w * v->p.in_pixel;
    const v16f bias = LOAD(v16f, r->panel);
    v16f acc[DEPTHWISE_TOGETHER];
    OUNCE_UNROLL for (int m = 0; m < count; m++) acc[m] = bias;
    const char *w = r->panel + sizeof(v16f);
    if (stride) {
        for (int64_t ky = 0; ky < v->p.kernel_h; ky++, in += v->row_step, w += 3 * sizeof(v16f)) {
            const v16f weights[3] = {LOAD(v16f, w), LOAD(v16f, w + sizeof(v16f)), LOAD(v16f, w + 2 * sizeof(v16f))};
            const float *from = in;
            OUNCE_UNROLL for (int column = 0; column < (count - 1) * stride + 3; column++, from += v->column_step) {
                const v16f value = LOAD(v16f, from);
                OUNCE_UNROLL for (int kx = 0; kx < 3; kx++) {
                    const int m = (column - kx) / stride;
                    if (column < kx || (column - kx) % stride || m >= count) continue;
                    acc[m] = __builtin_elementwise_fma(value, weights[kx], acc[m]);
                }
                __asm__("" : "+r"(from));  // one pointer, not one for each column
            }
        }
    } else {
        const int64_t step = v->p.stride_w * v->p.in_pixel;
        const float *pixel[DEPTHWISE_TOGETHER];
        OUNCE_UNROLL for (int m = 0; m < count; m++) pixel[m] = in + m * step;
        for (int64_t ky = 0; ky < v->p.kernel_h; ky++) {
            int64_t offset = ky * v->row_step;
            for (int64_t kx = 0; kx < v->p.kernel_w; kx++, offset += v->column_step, w += sizeof(v16f)) {
                const v16f weights = LOAD(v16f, w);
                OUNCE_UNROLL for (int m = 0; m < count; m++) {
                    acc[m] = __builtin_elementwise_fma(LOAD(v16f, pixel[m] + offset), weights, acc[m]);
                }
            }
        }
    }
    row_store(r, x, acc, count);
}

// Successive tiles of the same number of pixels, each number and stride compiled by itself.
#define TILES_DEFINE(n, stride)                                                                               \
    static __attribute__((noinline)) void row_tiles_##n##_##stride(const row_call *r, int64_t x, int64_t tiles) { \
        for (; n <= DEPTHWISE_TOGETHER && tiles > 0; tiles--, x += n) row_pixels(r, x, n, stride);             \
    }
#define TILES_COUNTS(M, stride) \
    M(1, stride) M(2, stride) M(3, stride) M(4, stride) M(5, stride) M(6, stride) M(7, stride) M(8, stride)
TILES_COUNTS(TILES_DEFINE, 0)
TILES_COUNTS(TILES_DEFINE, 1)
TILES_COUNTS(TILES_DEFINE, 2)

OUNCE_INLINE void row_tiles(const row_call *r, int64_t x, int64_t tiles, int64_t count, const int stride) {
#define TILES_NAME(n, stride) row_tiles_##n##_##stride,
    static void (*const run[3][9])(const row_call *, int64_t, int64_t) = {
        {NULL, TILES_COUNTS(TILES_NAME, 0)}, {NULL, TILES_COUNTS(TILES_NAME, 1)}, {NULL, TILES_COUNTS(TILES_NAME, 2)}};
#undef TILES_NAME
    if (count > 0) run[stride][count](r, x, tiles);
}

OUNCE_INLINE void row_panel(const row_call *r, const int stride) {
    const int64_t width = r->v->p.out_w, most = ounce_ceil_div(width, DEPTHWISE_TOGETHER);
    const int64_t count = ounce_ceil_div(width, most), tiles = width / count;
    row_tiles(r, 0, tiles, count, stride);
    row_tiles(r, tiles * count, 1, width - tiles * count, stride);
}

void OUNCE_NAME(dwconv_f32)(const ounce_call *call, int64_t begin, int64_t end) {
    const depthwise_view v = make_depthwise_view(call->params);
    const size_t panel_bytes = depthwise_f32_panel(&v.p);
    const int three = v.p.kernel_w == 3 && v.column_step == v.p.in_pixel;  // neighbouring columns, not folded
    for (int64_t unit = begin; unit < end; unit++) {
        const int64_t image = unit / v.p.out_h, y = unit % v.p.out_h;
        const float *in = (const float *)call->in[0] + image * v.p.in_image + y * v.p.stride_h * v.p.in_row;
        float *out = (float *)call->out + image * v.p.out_image + y * v.p.out_row;
        row_call r = {.v = &v, .panel = call->packed};
        for (int64_t channel = 0; channel < v.p.out_c; channel += OUNCE_LANES, r.panel += panel_bytes) {
            r.in = in + channel;
            r.out = out + channel;
            r.lanes = v.fold > 1 ? v.row_places : v.p.out_c - channel;
            if (three && v.p.stride_w == 1) {
                row_panel(&r, 1);
            } else if (three && v.p.stride_w == 2) {
                row_panel(&r, 2);
            } else {
                row_panel(&r, 0);
            }
        }
    }
}
