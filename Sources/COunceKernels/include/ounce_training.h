// The hot loops of training: float32 products, gradients and updates.
//
// Unlike the kernels of `ounce_kernels.h` these need not give the same bits on every instruction set; on one machine the
// order of every sum is fixed, so the same call gives the same bits. Buffers that are read have OUNCE_SLACK readable
// bytes after their end. `accumulate` adds to the output instead of writing it.
#ifndef OUNCE_TRAINING_H
#define OUNCE_TRAINING_H

#include "ounce_kernels.h"

// c[m][n] (+)= sum over k of a[m * a_row + k * a_step] * b[k * b_row + n].
typedef struct {
    int64_t n, k;
    const float *a;
    int64_t a_row, a_step;
    const float *b;
    int64_t b_row;
    float *c;
    int64_t c_row;
    int32_t accumulate;
} ounce_gemm;

// The gradient of convolution weights without im2col: over the pixels of one image
//   sums[column][o][lane] += dy[pixel][o] * x[pixel + offsets[column] + lane],   lane < 16
// A column is a run of 16 reduction places; steps are elements of x or dy between rows and pixels of the output.
typedef struct {
    int32_t out_h, out_w, out_c, columns;
    const int64_t *offsets;
    int64_t x_row, x_pixel, dy_row, dy_pixel;
    int64_t sums_channels;  // output channels that sums is laid out for
} ounce_weight_gradient;

// One channels-last image and the windows over it. Padding is there already for depthwise gradients and `col2im`;
// pooling clips its windows.
typedef struct {
    int32_t in_h, in_w, channels, out_h, out_w;
    int32_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
    int32_t count_padding;
    int64_t in_row, in_pixel;    // elements
    int64_t out_row, out_pixel;
} ounce_windows;

typedef struct {
    float rate, momentum, decay, beta1, beta2, epsilon;
    float correction1, correction2;  // AdamW: 1 - beta^t
    float scale;                     // of the gradient, for clipping and accumulation
    int32_t nesterov;
} ounce_update;

typedef struct {
    ounce_isa isa;
    void (*gemm)(const ounce_gemm *g, int64_t first_row, int64_t last_row);
    void (*weight_gradient)(const ounce_weight_gradient *g, const float *x, const float *dy, float *sums);
    // sums[tap][channels rounded up to 16] += dy * x.
    void (*depthwise_weight_gradient)(const ounce_windows *w, const float *x, const float *dy, float *sums);
    // dx[pixel + tap] += dy[pixel] * weights[tap][channel].
    void (*depthwise_input_gradient)(const ounce_windows *w, const float *dy, const float *weights, float *dx);
    // dx[pixel + tap] += columns[pixel][tap][channel].
    void (*col2im)(const ounce_windows *w, const float *columns, float *dx);
    // out[column][row] = in[row][column].
    void (*transpose)(const float *in, int64_t rows, int64_t columns, int64_t in_row, float *out, int64_t out_row);

    void (*add)(float *out, const float *x, int64_t n);
    // out = low < y < high ? dy : 0 (y NULL: dy), for `rows` rows of `n`, `out_row` elements apart in out.
    void (*mask)(const float *dy, const float *y, float low, float high, int64_t rows, int64_t n, float *out,
                 int64_t out_row, int32_t accumulate);
    // y = clamp(y + bias).
    void (*bias_clamp)(float *y, const float *bias, float low, float high, int64_t rows, int64_t channels);
    // sums[c] += sum over rows of x[row][c].
    void (*column_sums)(const float *x, int64_t rows, int64_t row_step, int64_t channels, float *sums);
    void (*unary)(int32_t op, float alpha, float beta, const float *x, float *y, int64_t n);
    void (*unary_gradient)(int32_t op, float alpha, float beta, const float *x, const float *y, const float *dy,
                           float *dx, int64_t n, int32_t accumulate);
    // ounce_binary_op; sa, sb, are 0 or 1 (or any stride): operands step through elements.
    void (*binary)(int32_t op, const float *a, int64_t sa, const float *b, int64_t sb, float low, float high, float *y,
                   int64_t n);
    // Adds to da and db (NULL: not wanted).
    void (*binary_gradient)(int32_t op, const float *a, int64_t sa, const float *b, int64_t sb, const float *y,
                            float low, float high, const float *dy, float *da, float *db, int64_t n);
    void (*softmax)(const float *x, float *y, int64_t rows, int64_t columns);
    void (*softmax_gradient)(const float *y, const float *dy, float *dx, int64_t rows, int64_t columns,
                             int32_t accumulate);
    // index: for each output element the input element that it came from, -1 for none.
    void (*max_pool)(const ounce_windows *w, const float *x, float *y, int32_t *index);
    void (*average_pool)(const ounce_windows *w, const float *x, float *y);
    // Adds to dx.
    void (*average_pool_gradient)(const ounce_windows *w, const float *dy, float *dx);
    // means and variances [channels] over rows.
    void (*moments)(const float *x, int64_t rows, int64_t channels, float *means, float *variances);
    // y = x * scale[c] + shift[c].
    void (*affine)(const float *x, const float *scale, const float *shift, float *y, int64_t rows, int64_t channels);
    // sum[c] += sum of dy, dot[c] += sum of dy * x.
    void (*gradient_sums)(const float *x, const float *dy, int64_t rows, int64_t channels, float *sum, float *dot);
    // dx (+)= dy * a[c] + x * b[c] + shift[c].
    void (*affine_gradient)(const float *x, const float *dy, const float *a, const float *b, const float *shift,
                            float *dx, int64_t rows, int64_t channels, int32_t accumulate);
    double (*squared_norm)(const float *x, int64_t n);
    void (*sgd)(float *w, float *g, float *momentum, int64_t n, const ounce_update *u);
    void (*adamw)(float *w, float *g, float *first, float *second, int64_t n, const ounce_update *u);
    // y = (clamp(rne(x / scale) + zero, low, high) - zero) * scale.
    void (*fake_quantise)(const float *x, float scale, float zero, float low, float high, float *y, int64_t n);
    // Straight through within the grid; returns the gradient of the scale (LSQ, arXiv 1902.08153).
    double (*fake_quantise_gradient)(const float *x, const float *dy, float scale, float zero, float low, float high,
                                     float *dx, int64_t n, int32_t accumulate);
} ounce_training_kernels;

// The loops compiled for an instruction set; those of the baseline where there are none for it.
const ounce_training_kernels *ounce_training(ounce_isa isa);

#endif
