// Pooling, vectorised over channels; compiled once for each instruction set. A unit is one output pixel. Blocks read whole
// vectors, so up to 60 bytes behind the input.
#include "../vector.h"

typedef int8_t v64b __attribute__((vector_size(64)));
typedef int16_t v32s __attribute__((vector_size(64)));
typedef int8_t v32b __attribute__((vector_size(32)));
typedef int16_t v16s __attribute__((vector_size(32)));

#include "maxpool_s8_rows.h"

typedef struct {
    const ounce_pool_params *p;
    int64_t first_y, end_y, first_x, end_x;  // the taps inside the input
    int64_t in, out;                         // offsets of tap (0, 0), which may lie outside, and of the output pixel
} window;

// The taps t in 0..<kernel with 0 <= start + t * dilation < extent.
OUNCE_INLINE void clip(int64_t start, int64_t kernel, int64_t dilation, int64_t extent, int64_t *first, int64_t *end) {
    *first = 0, *end = kernel;
    if (OUNCE_LIKELY(start >= 0 && start + (kernel - 1) * dilation < extent)) return;
    *first = start >= 0 ? 0 : ounce_min64(kernel, (-start + dilation - 1) / dilation);
    *end = extent <= start ? 0 : ounce_min64(kernel, (extent - start + dilation - 1) / dilation);
    if (*end < *first) *end = *first;
}

typedef struct {
    int64_t x, y, image;
} place;

OUNCE_INLINE place place_of(const ounce_pool_params *p, int64_t pixel) {
    const int64_t row = pixel / p->out_w;
    return (place){pixel % p->out_w, row % p->out_h, row / p->out_h};
}

OUNCE_INLINE void advance(const ounce_pool_params *p, place *at) {
    if (OUNCE_LIKELY(++at->x < p->out_w)) return;
    at->x = 0;
    if (++at->y == p->out_h) at->y = 0, at->image++;
}

OUNCE_INLINE window make_window(const ounce_pool_params *p, place at) {
    const int64_t top = at.y * p->stride_h - p->pad_top, left = at.x * p->stride_w - p->pad_left;
    window w = {.p = p};
    clip(top, p->kernel_h, p->dilation_h, p->in_h, &w.first_y, &w.end_y);
    clip(left, p->kernel_w, p->dilation_w, p->in_w, &w.first_x, &w.end_x);
    w.in = at.image * p->in_image + top * p->in_row + left * p->in_pixel;
    w.out = at.image * p->out_image + at.y * p->out_row + at.x * p->out_pixel;
    return w;
}

OUNCE_INLINE int64_t window_count(const window *w) { return (w->end_y - w->first_y) * (w->end_x - w->first_x); }
OUNCE_INLINE int64_t divisor(const window *w) {
    const int64_t all = (int64_t)w->p->kernel_h * w->p->kernel_w;
    return ounce_max64(1, w->p->count_padding ? all : window_count(w));
}

// Runs the statement with `v` at each tap of channel `first`, in ascending order.
#define FOR_TAPS(w, in_pointer, type, first, statement)                                                            \
    do {                                                                                                           \
        const int64_t row_step = (w)->p->dilation_h * (w)->p->in_row, step = (w)->p->dilation_w * (w)->p->in_pixel; \
        const int64_t columns = (w)->end_x - (w)->first_x;                                                         \
        const type *row = (in_pointer) + (w)->in + (w)->first_y * row_step + (w)->first_x * step + (first);        \
        for (int64_t y = (w)->first_y; y < (w)->end_y; y++, row += row_step) {                                     \
            const type *v = row;                                                                                   \
            for (int64_t x = 0; x < columns; x++, v += step) {                                                     \
                statement;                                                                                         \
            }                                                                                                      \
        }                                                                                                          \
    } while (0)

// Calls block() for blocks of `wide` channels, then blocks of 16 for the rest.
#define FOR_BLOCKS(p, wide, block)                                                                                 \
    do {                                                                                                           \
        int64_t first = 0;                                                                                         \
        for (; first + wide <= (p)->channels; first += wide) block(&w, call, first, wide / OUNCE_LANES);           \
        for (; first < (p)->channels; first += OUNCE_LANES) block(&w, call, first, 1);                             \
    } while (0)

// `lines` may have done it.
#define POOL_FAMILY(name, wide, lines)                                                                             \
    void OUNCE_NAME(name)(const ounce_call *call, int64_t begin, int64_t end) {                                    \
        /* A copy, which no store to the output may change. */                                                      \
        const ounce_pool_params p = *(const ounce_pool_params *)call->params;                                      \
        if (lines(&p, call, begin, end)) return;                                                                   \
        place at = place_of(&p, begin);                                                                            \
        for (int64_t pixel = begin; pixel < end; pixel++, advance(&p, &at)) {                                      \
            const window w = make_window(&p, at);                                                                  \
            FOR_BLOCKS(&p, wide, name##_block);                                                                    \
        }                                                                                                          \
    }

OUNCE_INLINE int no_lines(const ounce_pool_params *p, const ounce_call *call, int64_t begin, int64_t end) {
    (void)p, (void)call, (void)begin, (void)end;
    return 0;
}

OUNCE_INLINE void maxpool_f32_block(const window *w, const ounce_call *call, int64_t first, const int vectors) {
    v16f acc[4];
    OUNCE_UNROLL for (int i = 0; i < vectors; i++) acc[i] = splat(-__builtin_inff());
    FOR_TAPS(w, (const float *)call->in[0], float, first, OUNCE_UNROLL for (int i = 0; i < vectors; i++) {
        const v16f x = LOAD(v16f, v + i * OUNCE_LANES);
        acc[i] = SELECT(v16f, x > acc[i], x, acc[i]);
    });
    float *out = (float *)call->out + w->out + first;
    OUNCE_UNROLL for (int i = 0; i < vectors; i++) {
        store_clamped(out + i * OUNCE_LANES, acc[i], w->p->min, w->p->max, w->p->channels - first - i * OUNCE_LANES);
    }
}
POOL_FAMILY(maxpool_f32, 64, no_lines)

OUNCE_INLINE void avgpool_f32_block(const window *w, const ounce_call *call, int64_t first, const int vectors) {
    v16f acc[4];
    OUNCE_UNROLL for (int i = 0; i < vectors; i++) acc[i] = splat(0.0f);
    FOR_TAPS(w, (const float *)call->in[0], float, first, OUNCE_UNROLL for (int i = 0; i < vectors; i++) {
        acc[i] = acc[i] + LOAD(v16f, v + i * OUNCE_LANES);
    });
    const v16f by = splat((float)divisor(w));
    float *out = (float *)call->out + w->out + first;
    OUNCE_UNROLL for (int i = 0; i < vectors; i++) {
        store_clamped(out + i * OUNCE_LANES, acc[i] / by, w->p->min, w->p->max,
                      w->p->channels - first - i * OUNCE_LANES);
    }
}
POOL_FAMILY(avgpool_f32, 64, no_lines)

OUNCE_INLINE void maxpool_s8_block(const window *w, const ounce_call *call, int64_t first, const int vectors) {
    const int8_t low = (int8_t)w->p->out_min, high = (int8_t)w->p->out_max;
    int8_t *out = (int8_t *)call->out + w->out + first;
    if (vectors == 4) {
        v64b acc = (v64b){0} + low;
        FOR_TAPS(w, (const int8_t *)call->in[0], int8_t, first, acc = __builtin_elementwise_max(acc, LOAD(v64b, v)));
        acc = __builtin_elementwise_min(acc, (v64b){0} + high);
        memcpy(out, &acc, sizeof acc);
    } else {
        v16b acc = (v16b){0} + low;
        FOR_TAPS(w, (const int8_t *)call->in[0], int8_t, first, acc = __builtin_elementwise_max(acc, LOAD(v16b, v)));
        acc = __builtin_elementwise_min(acc, (v16b){0} + high);
        if (w->p->channels - first >= OUNCE_LANES) {
            memcpy(out, &acc, sizeof acc);
        } else {
            store_some(out, &acc, 1, w->p->channels - first);
        }
    }
}
POOL_FAMILY(maxpool_s8, 64, maxpool_s8_lines)

// Stores the first `count` of sixteen results of an average.
OUNCE_INLINE void store_average(const ounce_pool_params *p, int8_t *out, v16i acc, float by, int64_t count) {
    if (!p->round_away) {
        store_requantised(out, acc, splat(p->scale / by), ounce_make_range(p->out_min, p->out_max, p->out_zero), count);
        return;
    }
    const v16f lo = splat((float)p->out_min), hi = splat((float)p->out_max), half = splat(0.5f);
    v16f v = __builtin_convertvector(acc, v16f) / splat(by);
    v = SELECT(v16f, v < splat(0.0f), v - half, v + half);
    v = SELECT(v16f, v > lo, v, lo);
    v = SELECT(v16f, v < hi, v, hi);
    const v16b q = __builtin_convertvector(__builtin_convertvector(v, v16i), v16b);
    if (OUNCE_LIKELY(count >= OUNCE_LANES)) {
        memcpy(out, &q, sizeof q);
    } else {
        store_some(out, &q, 1, count);
    }
}

// Sums of up to 255 numbers fit int16.
#define MOST_IN_INT16 255
OUNCE_INLINE void avgpool_s8_block(const window *w, const ounce_call *call, int64_t first, const int vectors) {
    const ounce_pool_params *p = w->p;
    const int64_t zeros = p->round_away ? divisor(w) - window_count(w) : -window_count(w);
    const uint32_t start = (uint32_t)zeros * (uint32_t)p->in_zero;
    v16u acc[4];
    OUNCE_UNROLL for (int i = 0; i < vectors; i++) acc[i] = (v16u){0} + start;
    if (vectors == 4) {
        v32s sum[2] = {{0}, {0}};
        int64_t taps = 0;
#define FLUSH                                                                                                     \
    do {                                                                                                          \
        OUNCE_UNROLL for (int i = 0; i < 4; i++) {                                                                \
            int16_t half[OUNCE_LANES];                                                                            \
            memcpy(half, (const char *)sum + i * sizeof half, sizeof half);                                       \
            acc[i] += (v16u)__builtin_convertvector(LOAD(v16s, half), v16i);                                      \
        }                                                                                                         \
    } while (0)
        FOR_TAPS(w, (const int8_t *)call->in[0], int8_t, first, {
            OUNCE_UNROLL for (int i = 0; i < 2; i++) sum[i] += __builtin_convertvector(LOAD(v32b, v + 32 * i), v32s);
            if (++taps == MOST_IN_INT16) {
                FLUSH;
                sum[0] = sum[1] = (v32s){0};
                taps = 0;
            }
        });
        FLUSH;
#undef FLUSH
    } else {
        FOR_TAPS(w, (const int8_t *)call->in[0], int8_t, first,
                 acc[0] += (v16u)__builtin_convertvector(LOAD(v16b, v), v16i));
    }
    int8_t *out = (int8_t *)call->out + w->out + first;
    const float by = (float)divisor(w);
    OUNCE_UNROLL for (int i = 0; i < vectors; i++) {
        store_average(p, out + i * OUNCE_LANES, (v16i)acc[i], by, p->channels - first - i * OUNCE_LANES);
    }
}
POOL_FAMILY(avgpool_s8, 64, no_lines)

#undef MOST_IN_INT16
#undef POOL_FAMILY
#undef FOR_BLOCKS
#undef FOR_TAPS
