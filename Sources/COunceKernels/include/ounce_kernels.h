// The hot loops of Ounce: what a kernel is, what it is given, and the table that lists them all.
//
// A kernel computes one step of a plan. It knows nothing of graphs, threads or allocation: all memory is the caller's.
// Every kernel of a family gives the same bits for the same step (see docs/adding-a-kernel.md):
//   - int8: exact int32 accumulators (no saturating pair sums), then the one requantisation rule below;
//   - float: one accumulator for each output element, started with the bias, fused multiply-adds (fmaf) in ascending
//     order of the reduction index (kernel row, kernel column, input channel);
//     max is `a > b ? a : b`, min `a < b ? a : b`; a clamp of float results lets NaN through:
//     v = min > v ? min : v;  v = max < v ? max : v;
//     which NaN comes out (sign, payload) is the CPU's business;
//   - no libm: exp, tanh and so on are the polynomials of this module, computed with the same operations everywhere.
//
// Requantisation of an int32 accumulator to int8 (rne: round to nearest, ties to even):
//   v = (float)acc * scale[n];  v = v > lo ? v : lo;  v = v < hi ? v : hi;  q = (int8)(rne(v) + out_zero)
// with lo = out_min - out_zero, hi = out_max - out_zero. `(float)acc` rounds to nearest even, the product once. int32
// sums wrap around. Zero points and clamps lie in -128...127, scales are finite; pack and run see the same parameters.
// An int8 convolution with float results (conv_s8f32) gives `(float)acc * scale[n]`, both rounded to nearest even, clamped as
// floats are.
#ifndef OUNCE_KERNELS_H
#define OUNCE_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// ---- instruction sets ----

typedef enum {
    OUNCE_ISA_SCALAR = 0,  // portable C
    OUNCE_ISA_AVX2,        // AVX2 + FMA
    OUNCE_ISA_AVXVNNI,     // AVX2 + FMA + AVX-VNNI
    OUNCE_ISA_AVX512VNNI,  // AVX-512 F, BW, DQ, VL, VNNI
    OUNCE_ISA_AVX512POPCNT,  // + VPOPCNTDQ, VBMI
    OUNCE_ISA_AMX,         // AVX-512 VNNI + AMX-INT8
    OUNCE_ISA_NEON,        // ARMv8.0 Advanced SIMD
    OUNCE_ISA_NEONDOT,     // + dot product (ARMv8.2)
    OUNCE_ISA_I8MM,        // + 8-bit matrix products (ARMv8.6)
    OUNCE_ISA_RVV,         // RISC-V vector extension 1.0, vectors of any length
    OUNCE_ISA_COUNT
} ounce_isa;

// Bit `1u << isa` for each instruction set that this CPU and operating system can run. Scalar is always there.
uint32_t ounce_cpu_isas(void);
// A hash of what the CPU says that it is: family, model, stepping and name. 0: it does not tell.
uint64_t ounce_cpu_signature(void);

// "scalar", "avx2", "avxvnni", "avx512vnni", "avx512popcnt", "amx", "neon", "neondot", "i8mm", "rvv".
const char *ounce_isa_name(ounce_isa isa);
// Vector width in bits (scalar: 0; rvv: 128, the least).
int ounce_isa_width(ounce_isa isa);

// ---- families and their parameters ----
// All extents and strides are in elements. Tensors are channels-last. Buffers that a kernel reads have at least
// OUNCE_SLACK readable bytes after their end; a kernel writes nothing outside its output elements and its scratch. The
// output overlaps no input.

#define OUNCE_SLACK 64

typedef enum {
    OUNCE_CONV_F32 = 0,  // ounce_conv_params; in[0] (and in[1]: residual) float, out float
    OUNCE_CONV_S8,       // ounce_conv_params; in[0] (and in[1]: residual) int8, out int8
    OUNCE_DWCONV_F32,    // ounce_conv_params with groups == in_c == out_c
    OUNCE_DWCONV_S8,
    OUNCE_MAXPOOL_F32,  // ounce_pool_params
    OUNCE_MAXPOOL_S8,
    OUNCE_AVGPOOL_F32,
    OUNCE_AVGPOOL_S8,
    OUNCE_BINARY_F32,  // ounce_binary_params; in[0], in[1]
    OUNCE_ADD_S8,      // ounce_add_s8_params; in[0], in[1]
    OUNCE_UNARY_F32,   // ounce_unary_params
    OUNCE_LUT_S8,      // ounce_lut_params
    OUNCE_SOFTMAX_F32,  // ounce_softmax_params
    OUNCE_SOFTMAX_S8,
    OUNCE_QUANTIZE,    // ounce_quantize_params: float -> int8
    OUNCE_DEQUANTIZE,  // ounce_quantize_params: int8 -> float
    OUNCE_COPY,        // ounce_copy_params: pad, slice, transpose, concat: moves elements of 1, 2, 4 or 8 bytes
    OUNCE_MATMUL_F32,  // ounce_matmul_params; in[0], in[1] float, out float
    OUNCE_LAYERNORM_F32,  // ounce_layernorm_params; in[0], in[1] and in[2] float, out float
    OUNCE_ATTENTION_F32,  // ounce_attention_params; in[0] to in[3] float, out float
    OUNCE_CONV_S8F32,     // ounce_conv_params; in[0] int8, out float
    OUNCE_RECURRENT_F32,  // ounce_recurrent_params; in[0] to in[2] float, out float
    OUNCE_RESIZE_F32,     // ounce_resize_params; in[0] and out float
    OUNCE_RESIZE_S8,      // ounce_resize_params; in[0] and out int8
    OUNCE_MATMUL_S8,      // ounce_matmul_s8_params; in[0], in[1] int8, out int8 or float
    OUNCE_ATTENTION_S8,   // ounce_attention_s8_params; in[0] to in[2] int8, in[3] float, out int8 or float
    OUNCE_FAMILY_COUNT
} ounce_family;
const char *ounce_family_name(ounce_family family);

// q = clamp(((bias + a * multiplier[0] + b * multiplier[1]) >> shift) + out_zero, out_min, out_max) in int32, with an
// arithmetic shift. For scale[i] = in_scale[i] / out_scale (scale[1] negative where b is subtracted):
//   shift         = 20 - floor(log2(max |scale[i]|)), within 1...30
//   multiplier[i] = rne(scale[i] * 2^shift), |multiplier[i]| <= 2^21
//   bias          = 2^(shift - 1) - multiplier[0] * in_zero[0] - multiplier[1] * in_zero[1]
// so that a half rounds up and nothing leaves 32 bits. This is the addition of XNNPACK (qs8-vadd), which is what TFLite
// computes by default. count elements, no broadcasting.
typedef struct {
    int64_t count;
    int32_t multiplier[2], bias, shift, out_zero, out_min, out_max;
} ounce_add_s8_params;

// Convolution over an input whose padding is already there ("valid"), also fully connected layers (all extents 1 but
// batch, in_c, out_c). Output pixel (b, y, x) reads input pixels (b, y*stride_h + ky*dilation_h, x*stride_w +
// kx*dilation_w).
typedef struct {
    int32_t batch, in_c, out_h, out_w, out_c;
    int32_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, groups;
    // Strides of input and output: image (batch), row, pixel; the channel stride is 1.
    int64_t in_image, in_row, in_pixel;
    int64_t out_image, out_row, out_pixel;
    float min, max;                             // float: clamp of the result
    int32_t in_zero, out_zero, out_min, out_max;  // int8: zero points, clamp of the quantised result
    int32_t in_ternary;                           // int8: every input element is -1, 0 or 1
    // A residual: in[1], laid out as the output and nowhere the same memory, is the second operand of an addition whose
    // first is the result above. Only OUNCE_CONV_F32 (then clamped to residual_min ... residual_max) and OUNCE_CONV_S8 take
    // one (OUNCE_ADD_S8; its count is not used).
    int32_t has_residual;
    ounce_add_s8_params residual;
    float residual_min, residual_max;
} ounce_conv_params;

// What a convolution packs once, when a plan is made. weights: [out_c][kernel_h][kernel_w][in_c / groups], float or
// int8; bias: [out_c] float or int32, NULL for none; scale (int8): [out_c] float, in_scale * weight_scale / out_scale
// (float results: in_scale * weight_scale).
typedef struct {
    const void *weights;
    const void *bias;
    const float *scale;
} ounce_conv_weights;

// Pooling; the window is clipped to the input (padding is virtual). Average: the divisor is the number of places in the
// clipped window, or kernel_h * kernel_w with count_padding. Float average: the sum in ascending order (row, column)
// from 0, then one division by the divisor as float. Int8 max: same encoding in and out, then clamp to [out_min,
// out_max]. Int8 average: acc = sum(x) - count * in_zero (count: places inside the input), then requantised with scale
// / divisor (one float division, done once for each divisor); with round_away (scale 1, out_zero = in_zero) as
// TFLite does it: v = (float)(sum of the stored numbers, in_zero for those of the padding that count) / (float)divisor, a half
// away from zero, q = (int32)(v < 0 ? v - 0.5f : v + 0.5f) cut towards zero and clamped. A window with no place inside the input has divisor 1
// and the maximum -infinity or out_min; NaN never becomes a maximum.
typedef struct {
    int32_t batch, in_h, in_w, channels, out_h, out_w;
    int32_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
    int32_t count_padding, round_away;
    int64_t in_image, in_row, in_pixel, out_image, out_row, out_pixel;
    float min, max;
    int32_t in_zero, out_zero, out_min, out_max;
    float scale;  // int8 average: in_scale / out_scale
} ounce_pool_params;

typedef enum { OUNCE_ADD = 0, OUNCE_SUB, OUNCE_MUL, OUNCE_DIV, OUNCE_MIN, OUNCE_MAX } ounce_binary_op;

// Elementwise with broadcasting. The output is contiguous; operand i steps through its own strides.
#define OUNCE_MAX_RANK 8
typedef struct {
    int32_t op, rank;
    int64_t extent[OUNCE_MAX_RANK];      // of the output, the last one the inner axis
    int64_t stride[2][OUNCE_MAX_RANK];   // of each operand, 0 where it is broadcast
    float min, max;                      // clamp of the result
} ounce_binary_params;

typedef enum {
    OUNCE_CLIP = 0,     // alpha: low, beta: high
    OUNCE_LEAKY_RELU,   // alpha: slope
    OUNCE_SIGMOID,
    OUNCE_TANH,
    OUNCE_EXP,
    OUNCE_LOG,
    OUNCE_SQRT,
    OUNCE_NEGATE,
    OUNCE_ABS,
    OUNCE_HARD_SWISH,    // x * clamp(x + 3, 0, 6) * (1/6), left to right
    OUNCE_HARD_SIGMOID,  // clamp(alpha * x + beta, 0, 1), fused
    OUNCE_ERF,
    OUNCE_GELU,       // 0.5 * x * (1 + erf(x * sqrt(1/2))), left to right
    OUNCE_GELU_TANH,  // 0.5 * x * (1 + tanh(sqrt(2/pi) * (x + 0.044715 * x * x * x))), left to right
} ounce_unary_op;
typedef struct {
    int32_t op;
    int64_t count;
    float alpha, beta;
} ounce_unary_params;

// out[i] = table[(uint8)in[i]] for int8 in and out. Every unary int8 operator and int8 -> int8 requantisation is a
// table.
typedef struct {
    int64_t count;
    int8_t table[256];
} ounce_lut_params;

// Softmax over the last axis of [rows, columns]: m = max; e = exp(x - m); s = sum with 16 partial sums (partial i:
// elements i, i + 16, … in ascending order) added pairwise (i + (i+8), then +4, +2, +1); out = e / s.
// Int8: x - m is (q - max q) * in_scale as float; q = clamp(rne((e / s) / out_scale) + out_zero, -128, 127), clamped as
// float before rounding.
typedef struct {
    int64_t rows, columns;
    float in_scale, out_scale;  // int8
    int32_t out_zero;
} ounce_softmax_params;

// Quantise: q = clamp(rne(x / scale) + zero, -128, 127), NaN gives the zero point; clamped as float before rounding.
// Dequantise: (float)(q - zero) * scale. With channels > 1, scale and zero point repeat along the last axis of that
// extent: scales[i % channels].
typedef struct {
    int64_t count;
    int32_t channels;
    const float *scales;   // [channels], lives as long as the params
    const int32_t *zeros;  // [channels]
} ounce_quantize_params;

// For each index of the box `extent`, out[sum(index * out_stride)] = in[sum(index * in_stride)]; with fill, the whole
// output (fill_count elements) is set to the element `fill` first. No two indices may name the same output element.
// Offsets are elements from in[0] and out; fill starts at out. With fill and `hole` the box is left as it is and what
// lies around it filled; then both strides are the same, those of a row-major tensor into which the box fits.
typedef struct {
    int32_t element_size, rank, hole;
    int64_t extent[OUNCE_MAX_RANK], in_stride[OUNCE_MAX_RANK], out_stride[OUNCE_MAX_RANK];
    int64_t in_offset, out_offset;
    int64_t fill_count;  // 0: no fill
    uint64_t fill;       // the element's bytes, little-endian
} ounce_copy_params;

// Products of matrices that are both computed: for each of `batch` pairs, out [m, n] = in[0] [m, k] * in[1] [k, n], all
// row-major. Each sum starts with 0, fused multiply-adds in ascending order of the reduction index. Pair b begins
// offsets[2 b] elements into in[0] and offsets[2 b + 1] into in[1]; offsets lives as long as the params.
typedef struct {
    int64_t batch, m, n, k;
    const int64_t *offsets;
} ounce_matmul_params;

// Attention with the bits of its pieces: for each of `batch` heads, out [m, v] = softmax(in[0] [m, k] * in[1] [k, n] +
// mask) * in[2] [n, v], products, sum and softmax as in ounce_matmul_params, ounce_binary_params and ounce_softmax_params.
// The mask is in[3], or NULL for none; its number for row i and column j stands at i * mask_row + j * mask_column.
// Head b begins offsets[4 b + i] elements into in[i]; offsets lives as long as the params.
typedef struct {
    int64_t batch, m, n, k, v;
    int64_t mask_row, mask_column;  // the column's is 0 or 1
    const int64_t *offsets;
} ounce_attention_params;

// Products of int8 matrices that are both computed: sum((a - a_zero) * (b - b_zero)) in int32, which wraps around, then
// requantised with `scale` = a_scale * b_scale / out_scale; with real_out `(float)sum * scale`, both rounded to nearest
// even, with scale = a_scale * b_scale. Rows of a pair stand a_row, b_row and out_row elements apart; pair b begins
// offsets[3 b] elements into in[0], offsets[3 b + 1] into in[1] and offsets[3 b + 2] into the output.
typedef struct {
    int64_t batch, m, n, k;
    int64_t a_row, b_row, out_row;
    const int64_t *offsets;  // lives as long as the params
    int32_t a_zero, b_zero, out_zero, out_min, out_max, real_out;
    float scale;
} ounce_matmul_s8_params;

// Attention on int8 numbers with the bits of its pieces. For each of `batch` heads and each of m queries:
//   x = (float)sum((q - q_zero) * (k - k_zero)) * score_scale, + mask, over n keys;
//   top = x[0], then in ascending order `top > x ? top : x`;  u = clamp(rne(exp(x - top) * 256), 0, 255), NaN gives 0;
//   y = (float)sum(u * (v - v_zero)) * value_scale / ((float)sum(u) / 256), value_scale = v_scale / 256
// and out = y with real_out, else y quantised as ounce_quantize_params says. Sums are int32; sum(u) is exact in float. The weights
// are numbers of 8 bits with the largest near 256 whatever it is a share of; the division by their own sum makes up for the
// rounding. Shapes and the mask are as in ounce_attention_params; rows of in[0], in[1], in[2] and the output stand q_row,
// k_row, v_row and out_row elements apart; head b begins offsets[5 b + i] elements into in[i], offsets[5 b + 4] into the output.
typedef struct {
    int64_t batch, m, n, k, v;
    int64_t q_row, k_row, v_row, out_row;
    int64_t mask_row, mask_column;
    const int64_t *offsets;  // lives as long as the params
    int32_t q_zero, k_zero, v_zero, out_zero, real_out;
    float score_scale, value_scale, out_scale;
} ounce_attention_s8_params;

// Rows of [rows, columns] to mean 0 and variance 1. m = sum(x) / columns; v = (double)sum((x - m) * (x - m)) / columns;
// f = (float)(1 / sqrt(v + epsilon)), this in double; t = (x - m) * f; out = fmaf(t, scale, bias), or t * scale,
// t + bias, t where one or both are NULL. Both sums are float, formed as softmax's. in[1] is the scale, in[2] the
// bias, both [columns].
typedef struct {
    int64_t rows, columns;
    float epsilon;
} ounce_layernorm_params;

// LSTM (gates i, o, f, g) and GRU (gates z, r, n) over in[0] [time, batch, width], from the states in[1] and, LSTM, in[2]
// (both [batch, hidden], NULL for zeros). The output is [time + 1 (LSTM: 2), batch, hidden]: h after each step, the last h, the
// last c. weights->weights is [gates * hidden, width + hidden], input weights W before recurrent ones R; weights->bias is
// [2 * gates * hidden], of W before that of R, or NULL. With s the logistic function, and sums that begin with both biases
// (added) and take products with x, then with h, in ascending order, fused:
//   LSTM  c = fma(s(f), c, s(i) * tanh(g));  h = s(o) * tanh(c)
//   GRU   h = fma(s(z), h, (1 - s(z)) * tanh(n)), n taking products with s(r) * h in place of h; with linear_before_reset
//         n = fma(s(r), q, m), m beginning with the bias of W and taking products with x, q with that of R and with h
typedef struct {
    int32_t is_lstm, reversed, linear_before_reset;  // reversed: from the last step to the first
    int64_t time, batch, width, hidden;
} ounce_recurrent_params;

// Resizing of [outer, axis[0].in, axis[1].in, inner] along axis 0, then along axis 1: output o of an axis is the sum, over its
// taps t in ascending order, of weights[o * taps + t] times the slice places[o * taps + t]. A tap whose weight is 0 is left
// out. An axis of 0 taps is not there.
//   float  sums are formed in double, from 0, and rounded to float after each axis
//   int8   sums of q - in_zero are formed in float, from 0, products and sums each rounded; what comes of both axes is
//          multiplied by scale, in_scale / out_scale, and stored by the requantisation rule, clamped to -128...127
// Without weights (NULL; then so for both axes, and with one tap each) slices are moved as they are.
typedef struct {
    int64_t in, out, taps;
    const int32_t *places;  // [out][taps], each within 0..<in; tables live as long as the params
    const float *weights;   // [out][taps], finite
} ounce_resize_axis;
typedef struct {
    int64_t outer, inner;
    ounce_resize_axis axis[2];
    float scale;  // int8
    int32_t in_zero, out_zero;
} ounce_resize_params;

// ---- kernels ----

typedef struct {
    const void *params;  // the family's parameters
    const void *packed;  // what `pack` wrote, 64-byte aligned; NULL where packed_size is 0
    const void *in[8];   // generic steps of the runtime use more than the two of kernels
    void *out;
    void *scratch;       // scratch_size bytes for this thread, 64-byte aligned
} ounce_call;

typedef struct {
    const char *name;  // family_isa[_variant], unique: "conv_s8_avx512vnni"
    ounce_family family;
    ounce_isa isa;
    // Whether this kernel can do the step (NULL: always). `weights` may be NULL: what depends on them is refused then.
    bool (*supports)(const void *params, const ounce_conv_weights *weights);
    // Bytes of packed weights (NULL: packs nothing); sparse kernels look at the weights.
    size_t (*packed_size)(const void *params, const ounce_conv_weights *weights);
    void (*pack)(const void *params, const ounce_conv_weights *weights, void *packed);
    // A multiple of this many output channels can be packed by themselves, with out_c and the pointers of `weights`
    // changed for them; what comes of all, one after the other, is the same (0: all must be packed at once).
    int64_t pack_channels;
    // Bytes of scratch that each thread needs (NULL: none).
    size_t (*scratch_size)(const void *params);
    // The number of independent units of work; results do not depend on how they are split.
    int64_t (*units)(const void *params);
    // Computes units begin..<end.
    void (*run)(const ounce_call *call, int64_t begin, int64_t end);
} ounce_kernel;

// Every kernel, portable ones included; within a family the later entry is the one to prefer where both can run and
// neither has been measured. Only kernels for this architecture are listed.
const ounce_kernel *ounce_kernels(size_t *count);

// ---- the machine's limits (what `ounce bench` compares with) ----

// Does so many rounds of multiply-accumulates of int8 or float32 in the registers of `isa`, as fast as they go. Returns how
// many those were; 0: there is no such loop for it.
int64_t ounce_peak_macs(ounce_isa isa, int is_float, int64_t rounds);
// Reads all words once; what it returns depends on them.
uint64_t ounce_read_words(const uint64_t *words, int64_t count);

// ---- waiting (used by the runtime's thread pool) ----

// Sleeps while *word == expected (may wake early).
void ounce_futex_wait(const uint32_t *word, uint32_t expected);
void ounce_futex_wake(const uint32_t *word, int waiters);
// Returns when *word is no longer `expected`, or after about so many nanoseconds.
void ounce_spin_while(const uint32_t *word, uint32_t expected, int64_t nanoseconds);
void ounce_spin_while64(const uint64_t *word, uint64_t expected, int64_t nanoseconds);
// Tells the CPU that a spin loop is waiting.
void ounce_pause(void);
int32_t ounce_thread_id(void);
// -1: unknown.
int ounce_current_cpu(void);
// From now on `thread` runs on the CPUs that the calling thread may run on, but not on `cpu` where there is another.
void ounce_keep_off(int32_t thread, int cpu);

// ---- reference mathematics, the same bits as the kernels use ----

float ounce_exp(float x);
float ounce_log(float x);
float ounce_tanh(float x);
float ounce_sigmoid(float x);
// One element of OUNCE_UNARY_F32.
float ounce_unary(int32_t op, float alpha, float beta, float x);

#endif
