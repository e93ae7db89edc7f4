// Products of training in the compiler's vectors; compiled once for each instruction set with
//   GEMM_ROWS, GEMM_VECTORS        rows and 16-lane vectors of a tile of c
//   GRADIENT_ROWS, GRADIENT_VECTORS  output channels and columns of a tile of weight gradients
#include "../vector.h"

#if defined(TRAINING_FMA) || defined(__aarch64__)
#define MADD(a, b, c) __builtin_elementwise_fma(a, b, c)
#else
#define MADD(a, b, c) ((a) * (b) + (c))
#endif

OUNCE_INLINE void gemm_tile(const ounce_gemm *g, int64_t row, int64_t column, const int rows, const int vectors) {
    v16f acc[GEMM_ROWS][GEMM_VECTORS];
    const float *a = g->a + row * g->a_row, *b = g->b + column;
    float *c = g->c + row * g->c_row + column;
    OUNCE_UNROLL for (int m = 0; m < rows; m++) {
        OUNCE_UNROLL for (int n = 0; n < vectors; n++) {
            acc[m][n] = g->accumulate ? LOAD(v16f, c + m * g->c_row + n * OUNCE_LANES) : splat(0);
        }
    }
    for (int64_t k = 0; k < g->k; k++, a += g->a_step, b += g->b_row) {
        v16f wide[GEMM_VECTORS];
        OUNCE_UNROLL for (int n = 0; n < vectors; n++) wide[n] = LOAD(v16f, b + n * OUNCE_LANES);
        OUNCE_UNROLL for (int m = 0; m < rows; m++) {
            const v16f v = splat(a[m * g->a_row]);
            OUNCE_UNROLL for (int n = 0; n < vectors; n++) acc[m][n] = MADD(v, wide[n], acc[m][n]);
        }
    }
    OUNCE_UNROLL for (int m = 0; m < rows; m++) {
        OUNCE_UNROLL for (int n = 0; n < vectors; n++) {
            float *out = c + m * g->c_row + n * OUNCE_LANES;
            const int64_t left = g->n - column - n * OUNCE_LANES;
            if (left >= OUNCE_LANES) {
                memcpy(out, &acc[m][n], sizeof acc[m][n]);
            } else {
                store_some(out, &acc[m][n], sizeof(float), left);
            }
        }
    }
}

#define GEMM_TILE(rows, vectors)                                                                                  \
    static __attribute__((noinline)) void gemm_##rows##_##vectors(const ounce_gemm *g, int64_t m, int64_t n) {   \
        gemm_tile(g, m, n, rows, vectors);                                                                        \
    }
#define GEMM_TILES(rows, vectors) GEMM_TILE(rows, vectors)
GEMM_TILES(GEMM_ROWS, 1)
GEMM_TILES(1, 1)
#if GEMM_VECTORS > 1
GEMM_TILES(GEMM_ROWS, GEMM_VECTORS)
GEMM_TILES(1, GEMM_VECTORS)
#endif

static void gemm(const ounce_gemm *g, int64_t first_row, int64_t last_row) {
    for (int64_t n = 0; n < g->n;) {
        const int wide = GEMM_VECTORS > 1 && g->n - n > OUNCE_LANES;
        int64_t m = first_row;
#if GEMM_VECTORS > 1
        if (wide) {
            for (; m + GEMM_ROWS <= last_row; m += GEMM_ROWS) OUNCE_CONCAT(OUNCE_CONCAT(gemm_, GEMM_ROWS), OUNCE_CONCAT(_, GEMM_VECTORS))(g, m, n);
            for (; m < last_row; m++) OUNCE_CONCAT(gemm_1_, GEMM_VECTORS)(g, m, n);
        }
#endif
        for (; m + GEMM_ROWS <= last_row; m += GEMM_ROWS) OUNCE_CONCAT(OUNCE_CONCAT(gemm_, GEMM_ROWS), _1)(g, m, n);
        for (; m < last_row; m++) gemm_1_1(g, m, n);
        n += wide ? GEMM_VECTORS * OUNCE_LANES : OUNCE_LANES;
    }
}

OUNCE_INLINE void gradient_tile(const ounce_weight_gradient *g, const float *x, const float *dy, float *sums,
                                const int rows, const int vectors, const int64_t *offsets) {
    v16f acc[GRADIENT_ROWS][GRADIENT_VECTORS];
    const float *source[GRADIENT_VECTORS];
    const int64_t column = g->sums_channels * OUNCE_LANES;
    OUNCE_UNROLL for (int n = 0; n < vectors; n++) {
        source[n] = x + offsets[n];
        OUNCE_UNROLL for (int m = 0; m < rows; m++) acc[m][n] = LOAD(v16f, sums + n * column + m * OUNCE_LANES);
    }
    for (int64_t row = 0; row < g->out_h; row++) {
        const float *d = dy + row * g->dy_row;
        int64_t at = row * g->x_row;
        for (int64_t pixel = 0; pixel < g->out_w; pixel++, d += g->dy_pixel, at += g->x_pixel) {
            v16f wide[GRADIENT_VECTORS];
            OUNCE_UNROLL for (int n = 0; n < vectors; n++) wide[n] = LOAD(v16f, source[n] + at);
            OUNCE_UNROLL for (int m = 0; m < rows; m++) {
                const v16f v = splat(d[m]);
                OUNCE_UNROLL for (int n = 0; n < vectors; n++) acc[m][n] = MADD(v, wide[n], acc[m][n]);
            }
        }
    }
    OUNCE_UNROLL for (int n = 0; n < vectors; n++) {
        OUNCE_UNROLL for (int m = 0; m < rows; m++) {
            memcpy(sums + n * column + m * OUNCE_LANES, &acc[m][n], sizeof acc[m][n]);
        }
    }
}

#define GRADIENT_TILE(rows, vectors)                                                                              \
    static __attribute__((noinline)) void gradient_##rows##_##vectors(                                            \
        const ounce_weight_gradient *g, const float *x, const float *dy, float *sums, const int64_t *offsets) {   \
        gradient_tile(g, x, dy, sums, rows, vectors, offsets);                                                    \
    }
#define GRADIENT_TILES(rows, vectors) GRADIENT_TILE(rows, vectors)
GRADIENT_TILES(GRADIENT_ROWS, 1)
GRADIENT_TILES(2, 1)
GRADIENT_TILES(1, 1)
#if GRADIENT_VECTORS > 1
GRADIENT_TILES(GRADIENT_ROWS, GRADIENT_VECTORS)
GRADIENT_TILES(2, GRADIENT_VECTORS)
GRADIENT_TILES(1, GRADIENT_VECTORS)
#endif

#define GRADIENT_CALL(rows, vectors) \
    OUNCE_CONCAT(OUNCE_CONCAT(gradient_, rows), OUNCE_CONCAT(_, vectors))(g, x, dy + o, to + o * OUNCE_LANES, offsets)
static void weight_gradient(const ounce_weight_gradient *g, const float *x, const float *dy, float *sums) {
    for (int64_t column = 0; column < g->columns;) {
        const int64_t *offsets = g->offsets + column;
        float *to = sums + column * g->sums_channels * OUNCE_LANES;
        int64_t o = 0;
#if GRADIENT_VECTORS > 1
        if (column + GRADIENT_VECTORS <= g->columns) {
            for (; o + GRADIENT_ROWS <= g->out_c; o += GRADIENT_ROWS) GRADIENT_CALL(GRADIENT_ROWS, GRADIENT_VECTORS);
            for (; o + 2 <= g->out_c; o += 2) GRADIENT_CALL(2, GRADIENT_VECTORS);
            for (; o < g->out_c; o++) GRADIENT_CALL(1, GRADIENT_VECTORS);
            column += GRADIENT_VECTORS;
            continue;
        }
#endif
        for (; o + GRADIENT_ROWS <= g->out_c; o += GRADIENT_ROWS) GRADIENT_CALL(GRADIENT_ROWS, 1);
        for (; o + 2 <= g->out_c; o += 2) GRADIENT_CALL(2, 1);
        for (; o < g->out_c; o++) GRADIENT_CALL(1, 1);
        column++;
    }
}

#define DEPTHWISE_TAPS 9
static void depthwise_weight_gradient(const ounce_windows *w, const float *x, const float *dy, float *sums) {
    const int64_t taps = (int64_t)w->kernel_h * w->kernel_w, padded = ((int64_t)w->channels + 15) / 16 * 16;
    for (int64_t channel = 0; channel < padded; channel += OUNCE_LANES) {
        for (int64_t first = 0; first < taps; first += DEPTHWISE_TAPS) {
            v16f acc[DEPTHWISE_TAPS];
            const float *source[DEPTHWISE_TAPS];
            OUNCE_UNROLL for (int t = 0; t < DEPTHWISE_TAPS; t++) {
                const int64_t tap = ounce_min64(first + t, taps - 1);
                source[t] = x + tap / w->kernel_w * w->dilation_h * w->in_row +
                            tap % w->kernel_w * w->dilation_w * w->in_pixel + channel;
                acc[t] = splat(0);
            }
            for (int64_t row = 0; row < w->out_h; row++) {
                const float *d = dy + row * w->out_row + channel;
                int64_t at = row * w->stride_h * w->in_row;
                for (int64_t pixel = 0; pixel < w->out_w; pixel++, d += w->out_pixel, at += w->stride_w * w->in_pixel) {
                    const v16f v = LOAD(v16f, d);
                    OUNCE_UNROLL for (int t = 0; t < DEPTHWISE_TAPS; t++) {
                        acc[t] = MADD(LOAD(v16f, source[t] + at), v, acc[t]);
                    }
                }
            }
            for (int t = 0; t < DEPTHWISE_TAPS && first + t < taps; t++) {
                float *to = sums + (first + t) * padded + channel;
                const v16f sum = LOAD(v16f, to) + acc[t];
                memcpy(to, &sum, sizeof sum);
            }
        }
    }
}

static void depthwise_input_gradient(const ounce_windows *w, const float *dy, const float *weights, float *dx) {
    for (int64_t row = 0; row < w->out_h; row++) {
        for (int64_t pixel = 0; pixel < w->out_w; pixel++) {
            const float *d = dy + row * w->out_row + pixel * w->out_pixel;
            float *base = dx + row * w->stride_h * w->in_row + pixel * w->stride_w * w->in_pixel;
            const float *k = weights;
            for (int64_t ky = 0; ky < w->kernel_h; ky++) {
                for (int64_t kx = 0; kx < w->kernel_w; kx++, k += w->channels) {
                    float *restrict to = base + ky * w->dilation_h * w->in_row + kx * w->dilation_w * w->in_pixel;
                    for (int64_t c = 0; c < w->channels; c++) to[c] += d[c] * k[c];
                }
            }
        }
    }
}

static void col2im(const ounce_windows *w, const float *columns, float *dx) {
    const int whole = w->dilation_w == 1 && w->in_pixel == w->channels;
    const int64_t runs = whole ? 1 : w->kernel_w, length = whole ? (int64_t)w->kernel_w * w->channels : w->channels;
    for (int64_t row = 0; row < w->out_h; row++) {
        for (int64_t pixel = 0; pixel < w->out_w; pixel++) {
            float *base = dx + row * w->stride_h * w->in_row + pixel * w->stride_w * w->in_pixel;
            for (int64_t ky = 0; ky < w->kernel_h; ky++) {
                for (int64_t run = 0; run < runs; run++, columns += length) {
                    float *restrict to = base + ky * w->dilation_h * w->in_row + run * w->dilation_w * w->in_pixel;
                    for (int64_t i = 0; i < length; i++) to[i] += columns[i];
                }
            }
        }
    }
}

static void transpose(const float *in, int64_t rows, int64_t columns, int64_t in_row, float *restrict out,
                      int64_t out_row) {
    for (int64_t r0 = 0; r0 < rows; r0 += 16) {
        const int64_t r1 = ounce_min64(rows, r0 + 16);
        for (int64_t c = 0; c < columns; c++) {
            for (int64_t r = r0; r < r1; r++) out[c * out_row + r] = in[r * in_row + c];
        }
    }
}
