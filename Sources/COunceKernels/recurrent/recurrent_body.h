// LSTM and GRU; compiled once for each instruction set. A unit is one sequence of the batch.
#include "../math/polynomials.h"
#include "recurrent.h"

#ifndef RECURRENT_ACCUMULATORS
#define RECURRENT_ACCUMULATORS 8
#endif

// Adds to `count` panels of sums the products of x [length] and the panels' weights, one chain for each sum.
OUNCE_INLINE void recurrent_sums(const float *x, int64_t length, const float *w, float *sums, const int count) {
    v16f acc[RECURRENT_ACCUMULATORS];
    OUNCE_UNROLL for (int n = 0; n < count; n++) acc[n] = LOAD(v16f, sums + n * OUNCE_LANES);
    for (int64_t k = 0; k < length; k++) {
        const v16f v = splat(x[k]);
        OUNCE_UNROLL for (int n = 0; n < count; n++) {
            acc[n] = __builtin_elementwise_fma(v, LOAD(v16f, w + (n * length + k) * OUNCE_LANES), acc[n]);
        }
    }
    OUNCE_UNROLL for (int n = 0; n < count; n++) {
        const v16f sum = acc[n];
        memcpy(sums + n * OUNCE_LANES, &sum, sizeof sum);
    }
}

static __attribute__((noinline)) void recurrent_panels(const float *x, int64_t length, const float *w, float *sums,
                                                       int64_t panels) {
    int64_t n = 0;
    for (; n + RECURRENT_ACCUMULATORS <= panels; n += RECURRENT_ACCUMULATORS) {
        recurrent_sums(x, length, w + n * length * OUNCE_LANES, sums + n * OUNCE_LANES, RECURRENT_ACCUMULATORS);
    }
    for (; n + 2 <= panels; n += 2) {
        recurrent_sums(x, length, w + n * length * OUNCE_LANES, sums + n * OUNCE_LANES, 2);
    }
    if (n < panels) recurrent_sums(x, length, w + n * length * OUNCE_LANES, sums + n * OUNCE_LANES, 1);
}

// The input products of `steps` steps, at most RECURRENT_STEPS: each weight is read once for all of them.
static __attribute__((noinline)) void recurrent_inputs_of(const float *const *x, int64_t steps, int64_t width,
                                                          const float *start, const float *w, float *sums, int64_t rows) {
    for (int64_t panel = 0; panel < rows / OUNCE_LANES; panel++, w += width * OUNCE_LANES) {
        const v16f first = LOAD(v16f, start + panel * OUNCE_LANES);
        for (int64_t from = 0; from < steps; from += RECURRENT_ACCUMULATORS) {
            v16f acc[RECURRENT_ACCUMULATORS];
            OUNCE_UNROLL for (int m = 0; m < RECURRENT_ACCUMULATORS; m++) acc[m] = first;
            for (int64_t k = 0; k < width; k++) {
                const v16f weights = LOAD(v16f, w + k * OUNCE_LANES);
                OUNCE_UNROLL for (int m = 0; m < RECURRENT_ACCUMULATORS; m++) {
                    acc[m] = __builtin_elementwise_fma(splat(x[from + m][k]), weights, acc[m]);
                }
            }
            OUNCE_UNROLL for (int m = 0; m < RECURRENT_ACCUMULATORS; m++) {
                if (from + m >= steps) break;
                const v16f sum = acc[m];
                memcpy(sums + (from + m) * rows + panel * OUNCE_LANES, &sum, sizeof sum);
            }
        }
    }
}

OUNCE_INLINE void recurrent_lstm(const float *restrict sums, float *restrict h, float *restrict c, int64_t n) {
    const float *i = sums, *o = sums + n, *f = sums + 2 * n, *g = sums + 3 * n;
    for (int64_t j = 0; j < n; j++) {
        const float kept = ounce_sigmoid_inline(i[j]) * ounce_tanh_inline(g[j]);
        c[j] = __builtin_fmaf(ounce_sigmoid_inline(f[j]), c[j], kept);
        h[j] = ounce_sigmoid_inline(o[j]) * ounce_tanh_inline(c[j]);
    }
}

// `candidate`: the sums that tanh is taken of, or with `recurrent` what is added to it times the reset gate.
OUNCE_INLINE void recurrent_gru(const float *restrict sums, const float *restrict candidate,
                                const float *restrict recurrent, float *restrict h, int64_t n) {
    const float *z = sums, *r = sums + n;
    for (int64_t j = 0; j < n; j++) {
        const float update = ounce_sigmoid_inline(z[j]);
        const float sum = recurrent ? __builtin_fmaf(ounce_sigmoid_inline(r[j]), recurrent[j], candidate[j]) : candidate[j];
        h[j] = __builtin_fmaf(update, h[j], (1.0f - update) * ounce_tanh_inline(sum));
    }
}

OUNCE_INLINE void recurrent_gru_step(const recurrent_shape *s, const ounce_recurrent_params *p, const float *packed,
                                     float *sums, float *h, float *other) {
    const int64_t n = s->panels * OUNCE_LANES;
    const float *w = packed + recurrent_hidden(p, s);
    recurrent_panels(h, p->hidden, w, sums, 2 * s->panels);
    if (s->has_candidate) {
        memcpy(other, packed + s->rows, (size_t)n * sizeof(float));
        recurrent_panels(h, p->hidden, w + 2 * n * p->hidden, other, s->panels);
        recurrent_gru(sums, sums + 2 * n, other, h, n);
    } else {
        for (int64_t j = 0; j < n; j++) other[j] = ounce_sigmoid_inline(sums[n + j]) * h[j];
        recurrent_panels(other, p->hidden, w + 2 * n * p->hidden, sums + 2 * n, s->panels);
        recurrent_gru(sums, sums + 2 * n, NULL, h, n);
    }
}

void OUNCE_NAME(recurrent_f32)(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_recurrent_params *p = call->params;
    const recurrent_shape s = make_recurrent_shape(p);
    const int64_t n = s.panels * OUNCE_LANES, hidden = p->hidden;
    const size_t state = (size_t)hidden * sizeof(float);
    const float *packed = call->packed, *in = call->in[0];
    float *inputs = call->scratch, *h = inputs + (RECURRENT_STEPS + 1) * s.rows, *c = h + n, *other = c + n;
    float *out = call->out;
    for (int64_t b = begin; b < end; b++) {
        memset(h, 0, 2 * (size_t)n * sizeof(float));
        if (call->in[1]) memcpy(h, (const float *)call->in[1] + b * hidden, state);
        if (call->in[2] && p->is_lstm) memcpy(c, (const float *)call->in[2] + b * hidden, state);
        for (int64_t first = 0; first < p->time; first += RECURRENT_STEPS) {
            const int64_t steps = ounce_min64(RECURRENT_STEPS, p->time - first);
            const float *x[RECURRENT_STEPS];
            for (int64_t m = 0; m < RECURRENT_STEPS; m++) {
                const int64_t step = first + ounce_min64(m, steps - 1), t = p->reversed ? p->time - 1 - step : step;
                x[m] = in + (t * p->batch + b) * p->width;
            }
            recurrent_inputs_of(x, steps, p->width, packed, packed + recurrent_inputs(&s), inputs, s.rows);
            for (int64_t m = 0; m < steps; m++) {
                float *sums = inputs + m * s.rows;
                if (p->is_lstm) {
                    recurrent_panels(h, hidden, packed + recurrent_hidden(p, &s), sums, 4 * s.panels);
                    recurrent_lstm(sums, h, c, n);
                } else {
                    recurrent_gru_step(&s, p, packed, sums, h, other);
                }
                const int64_t t = p->reversed ? p->time - 1 - first - m : first + m;
                memcpy(out + (t * p->batch + b) * hidden, h, state);
            }
        }
        memcpy(out + (p->time * p->batch + b) * hidden, h, state);
        if (p->is_lstm) memcpy(out + ((p->time + 1) * p->batch + b) * hidden, c, state);
    }
}
