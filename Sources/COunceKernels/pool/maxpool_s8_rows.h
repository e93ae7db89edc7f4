// Maxima of int8 along the rows of the output, for windows of 2x2 and 3x3 next to each other: the maximum of a column of
// the input serves each window that holds it. What a window loses at the edges is replaced by places that it has: a
// maximum does not change by what it has seen.
#include "../vector.h"

OUNCE_INLINE int maxpool_s8_slides(const ounce_pool_params *p) {
    return p->kernel_h == p->kernel_w && (p->kernel_w == 2 || p->kernel_w == 3) && p->dilation_h == 1 &&
           p->dilation_w == 1 && p->pad_top < p->kernel_h && p->pad_left < p->kernel_w &&
           (p->out_h - 1) * p->stride_h - p->pad_top < p->in_h && (p->out_w - 1) * p->stride_w - p->pad_left < p->in_w;
}

// Where the rows of a line of windows begin, the channels of a block, and what is stored.
typedef struct {
    const int8_t *row[3];
    int8_t *out;
    int64_t x, end;  // output columns
    int64_t some;    // channels to store of the last vector
    int8_t low, high;
} maxpool_line;

#define MAXPOOL_LINE(type, bytes)                                                                                     \
    OUNCE_INLINE type column_##type(const maxpool_line *l, int64_t at, const int kernel) {                           \
        type v = __builtin_elementwise_max(LOAD(type, l->row[0] + at), LOAD(type, l->row[1] + at));                  \
        return kernel == 3 ? __builtin_elementwise_max(v, LOAD(type, l->row[2] + at)) : v;                           \
    }                                                                                                                \
    OUNCE_INLINE void store_##type(const maxpool_line *l, int8_t *out, type v) {                                     \
        v = __builtin_elementwise_max(v, (type){0} + l->low);                                                        \
        v = __builtin_elementwise_min(v, (type){0} + l->high);                                                       \
        if (bytes == 64 || l->some >= bytes) memcpy(out, &v, sizeof v);                                              \
        else store_some(out, &v, 1, l->some);                                                                        \
    }                                                                                                                \
    OUNCE_INLINE void edge_##type(const ounce_pool_params *p, const maxpool_line *l, int64_t x, const int kernel) {  \
        type v = (type){0} + (int8_t)-128;                                                                           \
        for (int64_t k = 0; k < kernel; k++) {                                                                       \
            const int64_t at = ounce_max64(0, ounce_min64(p->in_w - 1, x * p->stride_w - p->pad_left + k));          \
            v = __builtin_elementwise_max(v, column_##type(l, at * p->in_pixel, kernel));                            \
        }                                                                                                            \
        store_##type(l, l->out + x * p->out_pixel, v);                                                               \
    }                                                                                                                \
    /* `stride`: 0 for any. Of the columns of a window, those that the next one shares are kept. */                  \
    OUNCE_INLINE void line_##type(const ounce_pool_params *p, const maxpool_line *l, const int kernel,               \
                                  const int stride) {                                                                \
        const int kept = stride && stride < kernel ? kernel - stride : 0;                                            \
        const int64_t step = stride ? stride : p->stride_w, pixel = p->in_pixel;                                     \
        const int64_t first = ounce_min64(l->end, ounce_ceil_div(p->pad_left, step));                                \
        const int64_t last = ounce_min64(l->end, (p->in_w - kernel + p->pad_left + step) / step);                    \
        int64_t x = l->x;                                                                                            \
        for (; x < first; x++) edge_##type(p, l, x, kernel);                                                         \
        int64_t at = (x * step - p->pad_left) * pixel;                                                               \
        type column[3];                                                                                              \
        OUNCE_UNROLL for (int k = 0; k < kept; k++) {                                                                \
            if (x < last) column[k] = column_##type(l, at + k * pixel, kernel);                                      \
        }                                                                                                            \
        for (; x < last; x++, at += step * pixel) {                                                                  \
            OUNCE_UNROLL for (int k = kept; k < kernel; k++) column[k] = column_##type(l, at + k * pixel, kernel);   \
            type v = __builtin_elementwise_max(column[0], column[1]);                                                \
            if (kernel == 3) v = __builtin_elementwise_max(v, column[2]);                                            \
            store_##type(l, l->out + x * p->out_pixel, v);                                                           \
            OUNCE_UNROLL for (int k = 0; k < kept; k++) column[k] = column[k + stride];                              \
        }                                                                                                            \
        for (; x < l->end; x++) edge_##type(p, l, x, kernel);                                                        \
    }                                                                                                                \
    static __attribute__((noinline)) void any_line_##type(const ounce_pool_params *p, const maxpool_line *l) {       \
        if (p->kernel_w == 3 && p->stride_w == 2) line_##type(p, l, 3, 2);                                           \
        else if (p->kernel_w == 3 && p->stride_w == 1) line_##type(p, l, 3, 1);                                      \
        else if (p->kernel_w == 3) line_##type(p, l, 3, 0);                                                          \
        else if (p->stride_w == 2) line_##type(p, l, 2, 2);                                                          \
        else line_##type(p, l, 2, 0);                                                                                \
    }
MAXPOOL_LINE(v64b, 64)
MAXPOOL_LINE(v16b, 16)
#undef MAXPOOL_LINE

// Output pixels begin..<end, row by row; 0: these windows are of another kind.
OUNCE_INLINE int maxpool_s8_lines(const ounce_pool_params *p, const ounce_call *call, int64_t begin, int64_t end) {
    if (!maxpool_s8_slides(p)) return 0;
    for (int64_t pixel = begin; pixel < end;) {
        const int64_t x = pixel % p->out_w, line = pixel / p->out_w, y = line % p->out_h, image = line / p->out_h;
        maxpool_line l = {.x = x, .end = ounce_min64(p->out_w, x + end - pixel)};
        l.low = (int8_t)p->out_min, l.high = (int8_t)p->out_max;
        pixel += l.end - x;
        for (int64_t first = 0; first < p->channels;) {
            for (int64_t k = 0; k < p->kernel_h; k++) {
                const int64_t row = ounce_max64(0, ounce_min64(p->in_h - 1, y * p->stride_h - p->pad_top + k));
                l.row[k] = (const int8_t *)call->in[0] + image * p->in_image + row * p->in_row + first;
            }
            l.out = (int8_t *)call->out + image * p->out_image + y * p->out_row + first;
            l.some = p->channels - first;
            if (l.some >= 64) {
                any_line_v64b(p, &l);
                first += 64;
            } else {
                any_line_v16b(p, &l);
                first += OUNCE_LANES;
            }
        }
    }
    return 1;
}
