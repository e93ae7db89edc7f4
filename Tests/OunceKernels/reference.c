// The naive reference: written from the contract alone, one element at a time.
#include "kernel_tests.h"

#include <math.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#pragma STDC FP_CONTRACT OFF

static float clamp_float(float v, float lo, float hi) {
    if (lo > v) v = lo;
    if (hi < v) v = hi;
    return v;
}

static int8_t round_to_int8(float v, int out_min, int out_max, int zero) {
    const float lo = (float)(out_min - zero), hi = (float)(out_max - zero);
    if (!(v > lo)) v = lo;
    if (!(v < hi)) v = hi;
    return (int8_t)(lrintf(v) + zero);
}

// The low 32 bits: what an accumulator that wraps around holds.
static int32_t wrap(int64_t v) { return (int32_t)(uint32_t)(uint64_t)v; }

// A floor of the exact quotient, in double.
static int8_t add_s8(const ounce_add_s8_params *p, int a, int b) {
    const double sum = (double)p->bias + (double)a * p->multiplier[0] + (double)b * p->multiplier[1];
    double v = floor(sum / (double)(1LL << p->shift)) + p->out_zero;
    v = v < p->out_min ? p->out_min : v;
    return (int8_t)(v > p->out_max ? p->out_max : v);
}

static int conv(const step *s, void *out, int is_float) {
    const ounce_conv_params *p = &s->p.conv;
    const int gi = p->in_c / p->groups, go = p->out_c / p->groups;
    int good = 1;
    for (int b = 0; b < p->batch; b++)
        for (int y = 0; y < p->out_h; y++)
            for (int x = 0; x < p->out_w; x++)
                for (int n = 0; n < p->out_c; n++) {
                    const int64_t o = b * p->out_image + y * p->out_row + x * p->out_pixel + n;
                    float f = is_float && s->weights.bias ? ((const float *)s->weights.bias)[n] : 0;
                    int64_t i = !is_float && s->weights.bias ? ((const int32_t *)s->weights.bias)[n] : 0;
                    double exact = f, size = fabs(f);
                    for (int ky = 0; ky < p->kernel_h; ky++)
                        for (int kx = 0; kx < p->kernel_w; kx++)
                            for (int c = 0; c < gi; c++) {
                                const int64_t a = b * p->in_image + (y * p->stride_h + ky * p->dilation_h) * p->in_row +
                                                  (x * p->stride_w + kx * p->dilation_w) * p->in_pixel +
                                                  n / go * gi + c;
                                const int64_t w = (((int64_t)n * p->kernel_h + ky) * p->kernel_w + kx) * gi + c;
                                if (is_float) {
                                    const float fa = ((const float *)s->in[0])[a];
                                    const float fw = ((const float *)s->weights.weights)[w];
                                    f = fmaf(fa, fw, f);
                                    exact += (double)fa * fw;
                                    size += fabs((double)fa * fw);
                                } else {
                                    i += (int64_t)(((const int8_t *)s->in[0])[a] - p->in_zero) *
                                         ((const int8_t *)s->weights.weights)[w];
                                }
                            }
                    if (is_float) {
                        if (size < 1e38 && fabs(f - exact) > 1e-5 * size + 1e-40) good = 0;
                        ((float *)out)[o] = clamp_float(f, p->min, p->max);
                    } else if (s->family == OUNCE_CONV_S8F32) {
                        ((float *)out)[o] = clamp_float((float)wrap(i) * s->weights.scale[n], p->min, p->max);
                    } else {
                        ((int8_t *)out)[o] =
                            round_to_int8((float)wrap(i) * s->weights.scale[n], p->out_min, p->out_max, p->out_zero);
                    }
                    if (p->has_residual && is_float) {
                        const float sum = ((float *)out)[o] + ((const float *)s->in[1])[o];
                        ((float *)out)[o] = clamp_float(sum, p->residual_min, p->residual_max);
                    } else if (p->has_residual) {
                        ((int8_t *)out)[o] = add_s8(&p->residual, ((int8_t *)out)[o], ((const int8_t *)s->in[1])[o]);
                    }
                }
    return good;
}

static void pool(const step *s, void *out) {
    const ounce_pool_params *p = &s->p.pool;
    const int is_float = s->family == OUNCE_MAXPOOL_F32 || s->family == OUNCE_AVGPOOL_F32;
    const int is_max = s->family == OUNCE_MAXPOOL_F32 || s->family == OUNCE_MAXPOOL_S8;
    for (int b = 0; b < p->batch; b++)
        for (int oy = 0; oy < p->out_h; oy++)
            for (int ox = 0; ox < p->out_w; ox++)
                for (int c = 0; c < p->channels; c++) {
                    float sum = 0, top = -INFINITY;
                    int64_t isum = 0, count = 0;
                    int itop = p->out_min;
                    for (int ky = 0; ky < p->kernel_h; ky++)
                        for (int kx = 0; kx < p->kernel_w; kx++) {
                            const int y = oy * p->stride_h - p->pad_top + ky * p->dilation_h;
                            const int x = ox * p->stride_w - p->pad_left + kx * p->dilation_w;
                            if (y < 0 || y >= p->in_h || x < 0 || x >= p->in_w) continue;
                            const int64_t a = b * p->in_image + y * p->in_row + x * p->in_pixel + c;
                            count++;
                            if (is_float) {
                                const float v = ((const float *)s->in[0])[a];
                                sum = sum + v;
                                if (v > top) top = v;
                            } else {
                                const int v = ((const int8_t *)s->in[0])[a];
                                isum += v;
                                if (v > itop) itop = v;
                            }
                        }
                    int64_t divisor = p->count_padding ? (int64_t)p->kernel_h * p->kernel_w : count;
                    if (divisor == 0) divisor = 1;
                    const int64_t o = b * p->out_image + oy * p->out_row + ox * p->out_pixel + c;
                    if (is_float) {
                        ((float *)out)[o] = clamp_float(is_max ? top : sum / (float)divisor, p->min, p->max);
                    } else if (is_max) {
                        ((int8_t *)out)[o] = (int8_t)(itop > p->out_max ? p->out_max : itop);
                    } else if (p->round_away) {
                        // Twice the magnitude plus the divisor, over twice the divisor: halves go away from zero.
                        const int64_t total = isum + (divisor - count) * p->in_zero;
                        const int64_t half = (2 * (total < 0 ? -total : total) + divisor) / (2 * divisor);
                        int64_t q = total < 0 ? -half : half;
                        q = q < p->out_min ? p->out_min : q;
                        ((int8_t *)out)[o] = (int8_t)(q > p->out_max ? p->out_max : q);
                    } else {
                        ((int8_t *)out)[o] =
                            round_to_int8((float)(isum - count * p->in_zero) * (p->scale / (float)divisor),
                                                           p->out_min, p->out_max, p->out_zero);
                    }
                }
}

static void binary(const step *s, float *out) {
    const ounce_binary_params *p = &s->p.binary;
    int64_t total = 1;
    for (int axis = 0; axis < p->rank; axis++) total *= p->extent[axis];
    for (int64_t i = 0; i < total; i++) {
        int64_t rest = i, at[2] = {0, 0};
        for (int axis = p->rank - 1; axis >= 0; axis--) {
            for (int k = 0; k < 2; k++) at[k] += rest % p->extent[axis] * p->stride[k][axis];
            rest /= p->extent[axis];
        }
        const float a = ((const float *)s->in[0])[at[0]], b = ((const float *)s->in[1])[at[1]];
        float v = 0;
        if (p->op == OUNCE_ADD) v = a + b;
        if (p->op == OUNCE_SUB) v = a - b;
        if (p->op == OUNCE_MUL) v = a * b;
        if (p->op == OUNCE_DIV) v = a / b;
        if (p->op == OUNCE_MIN) v = a < b ? a : b;
        if (p->op == OUNCE_MAX) v = a > b ? a : b;
        out[i] = clamp_float(v, p->min, p->max);
    }
}

static void softmax(const step *s, void *out, int is_float) {
    const ounce_softmax_params *p = &s->p.softmax;
    for (int64_t row = 0; row < p->rows; row++) {
        float x[2048], e[2048], lanes[16] = {0}, max = -INFINITY;
        for (int64_t i = 0; i < p->columns; i++) {
            const int64_t at = row * p->columns + i;
            x[i] = is_float ? ((const float *)s->in[0])[at] : (float)((const int8_t *)s->in[0])[at];
            if (x[i] > max) max = x[i];
        }
        for (int64_t i = 0; i < p->columns; i++) {
            const float difference = x[i] - max;
            e[i] = ounce_exp(is_float ? difference : difference * p->in_scale);
            lanes[i % 16] = lanes[i % 16] + e[i];
        }
        for (int step = 8; step > 0; step /= 2)
            for (int i = 0; i < step; i++) lanes[i] = lanes[i] + lanes[i + step];
        for (int64_t i = 0; i < p->columns; i++) {
            const float v = e[i] / lanes[0];
            if (is_float) ((float *)out)[row * p->columns + i] = v;
            else ((int8_t *)out)[row * p->columns + i] = round_to_int8(v / p->out_scale, -128, 127, p->out_zero);
        }
    }
}

static float sum_of_lanes(float *lanes) {
    for (int step = 8; step > 0; step /= 2)
        for (int i = 0; i < step; i++) lanes[i] = lanes[i] + lanes[i + step];
    return lanes[0];
}

static void layernorm(const step *s, float *out) {
    const ounce_layernorm_params *p = &s->p.layernorm;
    const float *scale = s->in[1], *bias = s->in[2];
    for (int64_t row = 0; row < p->rows; row++) {
        const float *x = (const float *)s->in[0] + row * p->columns;
        float sums[16] = {0}, squares[16] = {0};
        for (int64_t i = 0; i < p->columns; i++) sums[i % 16] = sums[i % 16] + x[i];
        const float mean = sum_of_lanes(sums) / (float)p->columns;
        for (int64_t i = 0; i < p->columns; i++) squares[i % 16] = squares[i % 16] + (x[i] - mean) * (x[i] - mean);
        const double variance = (double)sum_of_lanes(squares) / (double)p->columns;
        const float factor = (float)(1 / sqrt(variance + (double)p->epsilon));
        for (int64_t i = 0; i < p->columns; i++) {
            float v = (x[i] - mean) * factor;
            if (scale && bias) v = fmaf(v, scale[i], bias[i]);
            else if (scale) v = v * scale[i];
            else if (bias) v = v + bias[i];
            out[row * p->columns + i] = v;
        }
    }
}

static void copy(const step *s, char *out) {
    const ounce_copy_params *p = &s->p.copy;
    const int64_t size = p->element_size;
    char *before = malloc(s->out_bytes);
    memcpy(before, out, s->out_bytes);
    for (int64_t i = 0; i < p->fill_count; i++) memcpy(out + i * size, &p->fill, (size_t)size);
    int64_t total = 1;
    for (int axis = 0; axis < p->rank; axis++) total *= p->extent[axis];
    for (int64_t i = 0; i < total; i++) {
        int64_t rest = i, from = p->in_offset, to = p->out_offset;
        for (int axis = p->rank - 1; axis >= 0; axis--) {
            from += rest % p->extent[axis] * p->in_stride[axis];
            to += rest % p->extent[axis] * p->out_stride[axis];
            rest /= p->extent[axis];
        }
        memcpy(out + to * size, p->hole ? before + to * size : (const char *)s->in[0] + from * size, (size_t)size);
    }
    free(before);
}

static void matmul(const step *s, float *out) {
    const ounce_matmul_params *p = &s->p.matmul;
    for (int64_t b = 0; b < p->batch; b++)
        for (int64_t row = 0; row < p->m; row++)
            for (int64_t column = 0; column < p->n; column++) {
                float sum = 0;
                for (int64_t i = 0; i < p->k; i++) {
                    const float left = ((const float *)s->in[0])[p->offsets[2 * b] + row * p->k + i];
                    sum = fmaf(left, ((const float *)s->in[1])[p->offsets[2 * b + 1] + i * p->n + column], sum);
                }
                out[(b * p->m + row) * p->n + column] = sum;
            }
}

static float dot(const float *x, int64_t x_step, const float *y, int64_t y_step, int64_t count) {
    float sum = 0;
    for (int64_t i = 0; i < count; i++) sum = fmaf(x[i * x_step], y[i * y_step], sum);
    return sum;
}

static void attention(const step *s, float *out) {
    const ounce_attention_params *p = &s->p.attention;
    float *scores = malloc((size_t)p->n * sizeof *scores);
    for (int64_t b = 0; b < p->batch; b++)
        for (int64_t row = 0; row < p->m; row++) {
            const float *in[4];
            for (int i = 0; i < 4; i++) in[i] = s->in[i] ? (const float *)s->in[i] + p->offsets[4 * b + i] : NULL;
            for (int64_t j = 0; j < p->n; j++) {
                scores[j] = dot(in[0] + row * p->k, 1, in[1] + j, p->n, p->k);
                if (in[3]) scores[j] = scores[j] + in[3][row * p->mask_row + j * p->mask_column];
            }
            float max = -INFINITY, lanes[16] = {0};
            for (int64_t j = 0; j < p->n; j++) max = scores[j] > max ? scores[j] : max;
            for (int64_t j = 0; j < p->n; j++) {
                scores[j] = ounce_exp(scores[j] - max);
                lanes[j % 16] = lanes[j % 16] + scores[j];
            }
            const float sum = sum_of_lanes(lanes);
            for (int64_t j = 0; j < p->n; j++) scores[j] = scores[j] / sum;
            for (int64_t c = 0; c < p->v; c++)
                out[(b * p->m + row) * p->v + c] = dot(scores, 1, in[2] + c, p->v, p->n);
        }
    free(scores);
}

// Exact, then wrapped around.
static int32_t int8_sum(const int8_t *x, int64_t x_step, int32_t x_zero, const int8_t *y, int64_t y_step, int32_t y_zero,
                        int64_t count) {
    int64_t sum = 0;
    for (int64_t i = 0; i < count; i++) sum += (int64_t)(x[i * x_step] - x_zero) * (y[i * y_step] - y_zero);
    return (int32_t)(uint32_t)(uint64_t)sum;
}

static void matmul_s8(const step *s, void *out) {
    const ounce_matmul_s8_params *p = &s->p.matmul_s8;
    for (int64_t b = 0; b < p->batch; b++)
        for (int64_t row = 0; row < p->m; row++)
            for (int64_t column = 0; column < p->n; column++) {
                const int8_t *left = (const int8_t *)s->in[0] + p->offsets[3 * b] + row * p->a_row;
                const int8_t *right = (const int8_t *)s->in[1] + p->offsets[3 * b + 1] + column;
                const int32_t sum = int8_sum(left, 1, p->a_zero, right, p->b_row, p->b_zero, p->k);
                const float v = (float)sum * p->scale;
                const int64_t at = p->offsets[3 * b + 2] + row * p->out_row + column;
                if (p->real_out) ((float *)out)[at] = v;
                else ((int8_t *)out)[at] = round_to_int8(v, p->out_min, p->out_max, p->out_zero);
            }
}

static void attention_s8(const step *s, void *out) {
    const ounce_attention_s8_params *p = &s->p.attention_s8;
    float *scores = malloc((size_t)p->n * sizeof *scores);
    int8_t *weights = malloc((size_t)p->n);
    for (int64_t b = 0; b < p->batch; b++)
        for (int64_t row = 0; row < p->m; row++) {
            const int64_t *at = p->offsets + 5 * b;
            const int8_t *q = (const int8_t *)s->in[0] + at[0] + row * p->q_row;
            float total = 0;
            for (int64_t j = 0; j < p->n; j++) {
                const int8_t *k = (const int8_t *)s->in[1] + at[1] + j;
                scores[j] = (float)int8_sum(q, 1, p->q_zero, k, p->k_row, p->k_zero, p->k) * p->score_scale;
                if (!s->in[3]) continue;
                scores[j] = scores[j] + ((const float *)s->in[3])[at[3] + row * p->mask_row + j * p->mask_column];
            }
            float top = scores[0];
            for (int64_t j = 1; j < p->n; j++) top = top > scores[j] ? top : scores[j];
            for (int64_t j = 0; j < p->n; j++) {
                const float e = ounce_exp(scores[j] - top) / 0.00390625f;
                weights[j] = round_to_int8(isnan(e) ? 0 : e, -128, 127, -128);
                total = total + (float)(weights[j] + 128) * 0.00390625f;
            }
            for (int64_t c = 0; c < p->v; c++) {
                const int8_t *v = (const int8_t *)s->in[2] + at[2] + c;
                const float y = (float)int8_sum(weights, 1, -128, v, p->v_row, p->v_zero, p->n) * p->value_scale / total;
                const float units = y / p->out_scale;
                const int64_t to = at[4] + row * p->out_row + c;
                if (p->real_out) ((float *)out)[to] = y;
                else ((int8_t *)out)[to] = round_to_int8(isnan(units) ? 0 : units, -128, 127, p->out_zero);
            }
        }
    free(scores), free(weights);
}

// A sum of products with x, then with h, for one row of the weights.
static float recurrent_sum(const step *s, float start, int64_t row, const float *x, const float *h) {
    const ounce_recurrent_params *p = &s->p.recurrent;
    const float *w = (const float *)s->weights.weights + row * (p->width + p->hidden);
    for (int64_t k = 0; k < p->width && x; k++) start = fmaf(x[k], w[k], start);
    for (int64_t k = 0; k < p->hidden && h; k++) start = fmaf(h[k], w[p->width + k], start);
    return start;
}

static void recurrent(const step *s, float *out) {
    const ounce_recurrent_params *p = &s->p.recurrent;
    const int64_t n = p->hidden, rows = (p->is_lstm ? 4 : 3) * n;
    for (int64_t b = 0; b < p->batch; b++) {
        float h[64] = {0}, c[64] = {0}, next[64], reset[64];
        for (int64_t j = 0; j < n && s->in[1]; j++) h[j] = ((const float *)s->in[1])[b * n + j];
        for (int64_t j = 0; j < n && s->in[2]; j++) c[j] = ((const float *)s->in[2])[b * n + j];
        for (int64_t i = 0; i < p->time; i++) {
            const int64_t t = p->reversed ? p->time - 1 - i : i;
            const float *x = (const float *)s->in[0] + (t * p->batch + b) * p->width, *bias = s->weights.bias;
#define BOTH(row) (bias ? bias[row] + bias[rows + (row)] : 0.0f)
            for (int64_t j = 0; j < n; j++) {
                reset[j] = p->is_lstm ? 0 : ounce_sigmoid(recurrent_sum(s, BOTH(n + j), n + j, x, h)) * h[j];
            }
            for (int64_t j = 0; j < n; j++) {
                const float first = ounce_sigmoid(recurrent_sum(s, BOTH(j), j, x, h));
                if (p->is_lstm) {
                    const float o = ounce_sigmoid(recurrent_sum(s, BOTH(n + j), n + j, x, h));
                    const float f = ounce_sigmoid(recurrent_sum(s, BOTH(2 * n + j), 2 * n + j, x, h));
                    const float g = ounce_tanh(recurrent_sum(s, BOTH(3 * n + j), 3 * n + j, x, h));
                    c[j] = fmaf(f, c[j], first * g);
                    next[j] = o * ounce_tanh(c[j]);
                    continue;
                }
                float sum = recurrent_sum(s, BOTH(2 * n + j), 2 * n + j, x, reset);
                if (p->linear_before_reset) {
                    const float r = ounce_sigmoid(recurrent_sum(s, BOTH(n + j), n + j, x, h));
                    const float m = recurrent_sum(s, bias ? bias[2 * n + j] : 0, 2 * n + j, x, NULL);
                    sum = fmaf(r, recurrent_sum(s, bias ? bias[rows + 2 * n + j] : 0, 2 * n + j, NULL, h), m);
                }
                next[j] = fmaf(first, h[j], (1.0f - first) * ounce_tanh(sum));
            }
#undef BOTH
            memcpy(h, next, (size_t)n * sizeof *h);
            memcpy(out + (t * p->batch + b) * n, h, (size_t)n * sizeof *h);
        }
        memcpy(out + (p->time * p->batch + b) * n, h, (size_t)n * sizeof *h);
        if (p->is_lstm) memcpy(out + ((p->time + 1) * p->batch + b) * n, c, (size_t)n * sizeof *c);
    }
}

// Along one axis: from [outer, in, inner] to [outer, out, inner]; int8 sums are floats on both sides.
static void resize_axis(const ounce_resize_axis *axis, int64_t outer, int64_t inner, const float *in, float *out,
                        int is_float) {
    for (int64_t i = 0; i < outer * axis->out * inner; i++) {
        const int64_t o = i / inner % axis->out;
        const float *x = in + i / inner / axis->out * axis->in * inner + i % inner;
        double wide = 0;
        float sum = 0;
        for (int64_t k = o * axis->taps; k < (o + 1) * axis->taps; k++) {
            const float v = x[axis->places[k] * inner], weight = axis->weights ? axis->weights[k] : 1;
            if (weight == 0) continue;
            wide += (double)v * weight;
            sum = sum + v * weight;
        }
        out[i] = !axis->weights ? x[axis->places[o] * inner] : is_float ? (float)wide : sum;
    }
}

static void resize(const step *s, void *out) {
    const ounce_resize_params *p = &s->p.resize;
    const int is_float = s->family == OUNCE_RESIZE_F32, moved = !p->axis[0].weights;
    const int64_t columns = p->axis[1].taps ? p->axis[1].in : 1, out_columns = p->axis[1].taps ? p->axis[1].out : 1;
    const int64_t count = p->outer * p->axis[0].in * columns * p->inner;
    const int64_t half = p->outer * p->axis[0].out * columns * p->inner;
    const int64_t total = p->outer * p->axis[0].out * out_columns * p->inner;
    float *x = malloc((size_t)count * 4), *y = malloc((size_t)half * 4), *z = malloc((size_t)total * 4);
    for (int64_t i = 0; i < count; i++) {
        x[i] = is_float ? ((const float *)s->in[0])[i] : (float)(((const int8_t *)s->in[0])[i] - (moved ? 0 : p->in_zero));
    }
    resize_axis(&p->axis[0], p->outer, columns * p->inner, x, y, is_float);
    if (p->axis[1].taps) resize_axis(&p->axis[1], p->outer * p->axis[0].out, p->inner, y, z, is_float);
    else memcpy(z, y, (size_t)total * 4);
    for (int64_t i = 0; i < total; i++) {
        if (is_float) ((float *)out)[i] = z[i];
        else ((int8_t *)out)[i] = moved ? (int8_t)z[i] : round_to_int8(z[i] * p->scale, -128, 127, p->out_zero);
    }
    free(x), free(y), free(z);
}

int reference(const step *s, void *out) {
    float *f = out;
    int8_t *q = out;
    const int8_t *a = s->in[0], *b = s->in[1];
    const float *x = s->in[0];
    switch (s->family) {
    case OUNCE_CONV_F32:
    case OUNCE_DWCONV_F32: return conv(s, out, 1);
    case OUNCE_CONV_S8:
    case OUNCE_CONV_S8F32:
    case OUNCE_DWCONV_S8: return conv(s, out, 0);
    case OUNCE_MAXPOOL_F32:
    case OUNCE_MAXPOOL_S8:
    case OUNCE_AVGPOOL_F32:
    case OUNCE_AVGPOOL_S8: pool(s, out); return 1;
    case OUNCE_BINARY_F32: binary(s, out); return 1;
    case OUNCE_ADD_S8: {
        const ounce_add_s8_params *p = &s->p.add;
        for (int64_t i = 0; i < p->count; i++) q[i] = add_s8(p, a[i], b[i]);
        return 1;
    }
    case OUNCE_UNARY_F32:
        for (int64_t i = 0; i < s->p.unary.count; i++)
            f[i] = ounce_unary(s->p.unary.op, s->p.unary.alpha, s->p.unary.beta, x[i]);
        return 1;
    case OUNCE_LUT_S8:
        for (int64_t i = 0; i < s->p.lut.count; i++) q[i] = s->p.lut.table[(uint8_t)a[i]];
        return 1;
    case OUNCE_SOFTMAX_F32: softmax(s, out, 1); return 1;
    case OUNCE_SOFTMAX_S8: softmax(s, out, 0); return 1;
    case OUNCE_QUANTIZE:
        for (int64_t i = 0; i < s->p.quantize.count; i++) {
            const int64_t c = i % s->p.quantize.channels;
            const float v = x[i] / s->p.quantize.scales[c];
            q[i] = round_to_int8(isnan(v) ? 0 : v, -128, 127, s->p.quantize.zeros[c]);
        }
        return 1;
    case OUNCE_DEQUANTIZE:
        for (int64_t i = 0; i < s->p.quantize.count; i++) {
            const int64_t c = i % s->p.quantize.channels;
            f[i] = (float)(a[i] - s->p.quantize.zeros[c]) * s->p.quantize.scales[c];
        }
        return 1;
    case OUNCE_COPY: copy(s, out); return 1;
    case OUNCE_MATMUL_F32: matmul(s, f); return 1;
    case OUNCE_ATTENTION_F32: attention(s, f); return 1;
    case OUNCE_MATMUL_S8: matmul_s8(s, out); return 1;
    case OUNCE_ATTENTION_S8: attention_s8(s, out); return 1;
    case OUNCE_LAYERNORM_F32: layernorm(s, f); return 1;
    case OUNCE_RECURRENT_F32: recurrent(s, f); return 1;
    case OUNCE_RESIZE_F32:
    case OUNCE_RESIZE_S8: resize(s, out); return 1;
    case OUNCE_FAMILY_COUNT: break;
    }
    return 0;
}

int has_float_output(const step *s) {
    if (s->family == OUNCE_MATMUL_S8) return s->p.matmul_s8.real_out;
    if (s->family == OUNCE_ATTENTION_S8) return s->p.attention_s8.real_out;
    return s->family == OUNCE_CONV_F32 || s->family == OUNCE_DWCONV_F32 || s->family == OUNCE_MAXPOOL_F32 ||
           s->family == OUNCE_AVGPOOL_F32 || s->family == OUNCE_BINARY_F32 || s->family == OUNCE_UNARY_F32 ||
           s->family == OUNCE_SOFTMAX_F32 || s->family == OUNCE_DEQUANTIZE || s->family == OUNCE_MATMUL_F32 ||
           s->family == OUNCE_LAYERNORM_F32 || s->family == OUNCE_ATTENTION_F32 || s->family == OUNCE_CONV_S8F32 ||
           s->family == OUNCE_RECURRENT_F32 || s->family == OUNCE_RESIZE_F32;
}

static double gelu_exact(double x) { return 0.5 * x * (1 + erf(x / sqrt(2))); }
static double gelu_tanh_exact(double x) { return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }

// Against the definition in double, relative to x: near -5 the two terms all but cancel.
static int check_gelu(const char *name, int32_t op, double (*exact)(double)) {
    double worst = 0;
    for (int i = 0; i < 200000; i++) {
        const float x = random_float(-8, 8);
        const double error = fabs(ounce_unary(op, 0, 0, x) - exact(x)) / fmax(fabs(x), 1e-30);
        if (!(error <= worst)) worst = error;
    }
    const int good = worst < 4e-7 && isnan(ounce_unary(op, 0, 0, NAN));
    printf("  %s on [-8, 8]: at most %.2g of x%s\n", name, worst, good ? "" : " FAILED");
    return good;
}

static double logistic(double x) { return 1 / (1 + exp(-x)); }

static int check_polynomial(const char *name, float (*ours)(float), double (*exact)(double), float low, float high) {
    double worst = 0;
    float worst_at = 0;
    for (int i = 0; i < 200000; i++) {
        const float x = random_float(low, high), y = ours(x);
        const double d = exact(x);
        const float rounded = (float)d;
        if (isinf(rounded) && isinf(y)) continue;
        const double unit = fmax(nextafterf(fabsf(rounded), INFINITY) - fabsf(rounded), 1.4e-45);
        const double error = fabs(y - d) / unit;
        if (!(error <= worst)) worst = error, worst_at = x;
    }
    const int good = worst <= 3 && isnan(ours(NAN));
    printf("  %s on [%g, %g]: at most %.2f ulp, at %.9g%s\n", name, low, high, worst, worst_at, good ? "" : " FAILED");
    return good;
}

int check_polynomials(void) {
    int good = check_polynomial("exp", ounce_exp, exp, -104, 89) & check_polynomial("exp", ounce_exp, exp, -1, 1);
    good &= check_polynomial("log", ounce_log, log, 1e-40f, 3e38f) & check_polynomial("log", ounce_log, log, 0.3f, 3) &
            check_polynomial("log", ounce_log, log, 1e-42f, 1e-37f);
    good &= check_polynomial("tanh", ounce_tanh, tanh, -10, 10) &
            check_polynomial("tanh", ounce_tanh, tanh, -0.7f, 0.7f);
    good &= check_polynomial("sigmoid", ounce_sigmoid, logistic, -100, 30) &
            check_polynomial("sigmoid", ounce_sigmoid, logistic, -2, 2);
    good &= check_gelu("gelu", OUNCE_GELU, gelu_exact) & check_gelu("gelu (tanh)", OUNCE_GELU_TANH, gelu_tanh_exact);
    good &= ounce_exp(-INFINITY) == 0 && ounce_exp(INFINITY) == INFINITY && ounce_exp(0) == 1;
    good &= ounce_log(0) == -INFINITY && ounce_log(INFINITY) == INFINITY && isnan(ounce_log(-1)) && ounce_log(1) == 0;
    good &= ounce_tanh(INFINITY) == 1 && ounce_tanh(-INFINITY) == -1 && ounce_tanh(0) == 0;
    good &= ounce_sigmoid(INFINITY) == 1 && ounce_sigmoid(-INFINITY) == 0 && ounce_sigmoid(0) == 0.5f;
    return good;
}
