// Elementwise loops of training: forward, gradients, pooling and normalisation over rows of channels.
#include "../math/polynomials.h"

OUNCE_INLINE int passes(float y, float low, float high) { return (y > low) & (y < high); }

static void add(float *restrict out, const float *restrict x, int64_t n) {
    for (int64_t i = 0; i < n; i++) out[i] += x[i];
}

static void mask(const float *dy, const float *y, float low, float high, int64_t rows, int64_t n, float *out,
                 int64_t out_row, int32_t accumulate) {
    for (int64_t row = 0; row < rows; row++, dy += n, y = y ? y + n : y, out += out_row) {
        float *restrict to = out;
        if (accumulate) {
            if (y) {
                for (int64_t i = 0; i < n; i++) to[i] += passes(y[i], low, high) ? dy[i] : 0;
            } else {
                for (int64_t i = 0; i < n; i++) to[i] += dy[i];
            }
        } else if (y) {
            for (int64_t i = 0; i < n; i++) to[i] = passes(y[i], low, high) ? dy[i] : 0;
        } else {
            memcpy(to, dy, (size_t)n * sizeof(float));
        }
    }
}

static void bias_clamp(float *restrict y, const float *restrict bias, float low, float high, int64_t rows,
                       int64_t channels) {
    for (int64_t row = 0; row < rows; row++, y += channels) {
        for (int64_t c = 0; c < channels; c++) y[c] = ounce_clamp(y[c] + (bias ? bias[c] : 0), low, high);
    }
}

static void column_sums(const float *x, int64_t rows, int64_t row_step, int64_t channels, float *restrict sums) {
    for (int64_t row = 0; row < rows; row++, x += row_step) {
        for (int64_t c = 0; c < channels; c++) sums[c] += x[c];
    }
}

#define SLOPE(name, expression)                                                              \
    case OUNCE_##name:                                                                       \
        for (int64_t i = 0; i < n; i++) {                                                    \
            const float v = x[i], r = y[i], slope = (expression);                            \
            (void)v, (void)r;                                                                \
            dx[i] = (accumulate ? dx[i] : 0) + dy[i] * slope;                                \
        }                                                                                    \
        break;
static void unary_gradient(int32_t op, float alpha, float beta, const float *x, const float *y, const float *dy,
                           float *restrict dx, int64_t n, int32_t accumulate) {
    switch (op) {
        SLOPE(CLIP, passes(v, alpha, beta) ? 1.0f : 0.0f)
        SLOPE(LEAKY_RELU, v < 0 ? alpha : 1.0f)
        SLOPE(SIGMOID, r * (1 - r))
        SLOPE(TANH, 1 - r * r)
        SLOPE(EXP, r)
        SLOPE(LOG, 1 / v)
        SLOPE(SQRT, r > 0 ? 0.5f / r : 0.0f)
        SLOPE(NEGATE, -1.0f)
        SLOPE(ABS, v > 0 ? 1.0f : v < 0 ? -1.0f : 0.0f)
        SLOPE(HARD_SWISH, v <= -3 ? 0.0f : v >= 3 ? 1.0f : (2 * v + 3) * (1.0f / 6))
        SLOPE(HARD_SIGMOID, passes(r, 0, 1) ? alpha : 0.0f)
    default: break;
    }
}
#undef SLOPE

#define APPLY(expression)                                        \
    for (int64_t i = 0; i < n; i++) {                            \
        const float u = a[i * sa], v = b[i * sb];                \
        y[i] = ounce_clamp((expression), low, high);             \
    }                                                            \
    break
OUNCE_INLINE void binary_loop(int32_t op, const float *a, int64_t sa, const float *b, int64_t sb, float low, float high,
                              float *restrict y, int64_t n) {
    switch (op) {
    case OUNCE_ADD: APPLY(u + v);
    case OUNCE_SUB: APPLY(u - v);
    case OUNCE_MUL: APPLY(u * v);
    case OUNCE_DIV: APPLY(u / v);
    case OUNCE_MIN: APPLY(u < v ? u : v);
    case OUNCE_MAX: APPLY(u > v ? u : v);
    default: break;
    }
}
#undef APPLY
static void binary(int32_t op, const float *a, int64_t sa, const float *b, int64_t sb, float low, float high, float *y,
                   int64_t n) {
    if (sa == 1 && sb == 1) return binary_loop(op, a, 1, b, 1, low, high, y, n);
    if (sa == 1 && sb == 0) return binary_loop(op, a, 1, b, 0, low, high, y, n);
    binary_loop(op, a, sa, b, sb, low, high, y, n);
}

// The slopes of an operand; `g` is the gradient that passed the clamp.
#define SLOPES(of_a, of_b)                                                          \
    for (int64_t i = 0; i < n; i++) {                                               \
        const float u = a[i * sa], v = b[i * sb];                                   \
        const float g = passes(y[i], low, high) ? dy[i] : 0;                   \
        (void)u, (void)v;                                                           \
        const float slope = wants_b ? (of_b) : (of_a);                              \
        if (step) to[i * step] += g * slope; else sum += g * slope;                 \
    }                                                                               \
    break
OUNCE_INLINE void binary_slopes(int32_t op, const float *a, int64_t sa, const float *b, int64_t sb, const float *y,
                                float low, float high, const float *dy, float *restrict to, int64_t step,
                                const int wants_b, int64_t n) {
    float sum = 0;
    switch (op) {
    case OUNCE_ADD: SLOPES(1.0f, 1.0f);
    case OUNCE_SUB: SLOPES(1.0f, -1.0f);
    case OUNCE_MUL: SLOPES(v, u);
    case OUNCE_DIV: SLOPES(1 / v, -u / (v * v));
    case OUNCE_MIN: SLOPES(u < v ? 1.0f : 0.0f, u < v ? 0.0f : 1.0f);
    case OUNCE_MAX: SLOPES(u > v ? 1.0f : 0.0f, u > v ? 0.0f : 1.0f);
    default: break;
    }
    if (!step) *to += sum;
}
#undef SLOPES
static void binary_gradient(int32_t op, const float *a, int64_t sa, const float *b, int64_t sb, const float *y,
                            float low, float high, const float *dy, float *da, float *db, int64_t n) {
    if (da && sa == 1 && sb == 1) {
        binary_slopes(op, a, 1, b, 1, y, low, high, dy, da, 1, 0, n);
    } else if (da) {
        binary_slopes(op, a, sa, b, sb, y, low, high, dy, da, sa, 0, n);
    }
    if (db && sa == 1 && sb == 1) {
        binary_slopes(op, a, 1, b, 1, y, low, high, dy, db, 1, 1, n);
    } else if (db) {
        binary_slopes(op, a, sa, b, sb, y, low, high, dy, db, sb, 1, n);
    }
}

static void softmax(const float *x, float *restrict y, int64_t rows, int64_t columns) {
    for (int64_t row = 0; row < rows; row++, x += columns, y += columns) {
        float max = x[0], sum = 0;
        for (int64_t i = 1; i < columns; i++) max = x[i] > max ? x[i] : max;
        for (int64_t i = 0; i < columns; i++) y[i] = ounce_exp_inline(x[i] - max);
        for (int64_t i = 0; i < columns; i++) sum += y[i];
        for (int64_t i = 0; i < columns; i++) y[i] /= sum;
    }
}

static void softmax_gradient(const float *y, const float *dy, float *restrict dx, int64_t rows, int64_t columns,
                             int32_t accumulate) {
    for (int64_t row = 0; row < rows; row++, y += columns, dy += columns, dx += columns) {
        float dot = 0;
        for (int64_t i = 0; i < columns; i++) dot += y[i] * dy[i];
        for (int64_t i = 0; i < columns; i++) dx[i] = (accumulate ? dx[i] : 0) + y[i] * (dy[i] - dot);
    }
}

// Calls BODY(input offset) for each place of the window of output (row, pixel) that lies inside, and counts them.
#define WINDOW(...)                                                                                     \
    for (int64_t ky = 0; ky < w->kernel_h; ky++) {                                                       \
        const int64_t iy = row * w->stride_h - w->pad_top + ky * w->dilation_h;                          \
        if (iy < 0 || iy >= w->in_h) continue;                                                           \
        for (int64_t kx = 0; kx < w->kernel_w; kx++) {                                                   \
            const int64_t ix = pixel * w->stride_w - w->pad_left + kx * w->dilation_w;                   \
            if (ix < 0 || ix >= w->in_w) continue;                                                       \
            const int64_t at = iy * w->in_row + ix * w->in_pixel;                                        \
            __VA_ARGS__                                                                                         \
        }                                                                                                \
    }

static void max_pool(const ounce_windows *w, const float *x, float *y, int32_t *index) {
    for (int64_t row = 0; row < w->out_h; row++) {
        for (int64_t pixel = 0; pixel < w->out_w; pixel++, y += w->channels, index += w->channels) {
            float *restrict to = y;
            int32_t *restrict from = index;
            for (int64_t c = 0; c < w->channels; c++) to[c] = -__builtin_inff(), from[c] = -1;
            WINDOW({
                for (int64_t c = 0; c < w->channels; c++) {
                    const float v = x[at + c];
                    const int32_t place = (int32_t)(at + c), better = v > to[c];
                    to[c] = better ? v : to[c];
                    from[c] = better ? place : from[c];
                }
            })
        }
    }
}

OUNCE_INLINE float window_divisor(const ounce_windows *w, int64_t row, int64_t pixel) {
    int64_t count = 0;
    WINDOW({ (void)at, count++; })
    if (w->count_padding) count = (int64_t)w->kernel_h * w->kernel_w;
    return count > 0 ? (float)count : 1.0f;
}

static void average_pool(const ounce_windows *w, const float *x, float *y) {
    for (int64_t row = 0; row < w->out_h; row++) {
        for (int64_t pixel = 0; pixel < w->out_w; pixel++, y += w->channels) {
            float *restrict to = y;
            const float divisor = window_divisor(w, row, pixel);
            for (int64_t c = 0; c < w->channels; c++) to[c] = 0;
            WINDOW({
                for (int64_t c = 0; c < w->channels; c++) to[c] += x[at + c];
            })
            for (int64_t c = 0; c < w->channels; c++) to[c] /= divisor;
        }
    }
}

static void average_pool_gradient(const ounce_windows *w, const float *dy, float *dx) {
    for (int64_t row = 0; row < w->out_h; row++) {
        for (int64_t pixel = 0; pixel < w->out_w; pixel++, dy += w->channels) {
            const float share = 1 / window_divisor(w, row, pixel);
            WINDOW({
                float *restrict to = dx + at;
                for (int64_t c = 0; c < w->channels; c++) to[c] += dy[c] * share;
            })
        }
    }
}
#undef WINDOW
