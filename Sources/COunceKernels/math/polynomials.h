// exp, log, tanh and the logistic function without libm: the same operations in every build, so the same bits.
// Branch-free, so that compilers vectorise loops over them. NaN gives NaN.
#ifndef OUNCE_MATH_H
#define OUNCE_MATH_H

#include "../common.h"

// e^x = 2^n e^r, n = rne(x / ln 2), |r| <= ln 2 / 2; e^r by its Taylor series to r^7 (error below 2^-27). 2^n is
// applied in two halves, so that results below the normal range round once and those above it become infinite.
typedef struct {
    float power;       // e^r
    uint32_t shifted;  // n + 0x4B400000
} ounce_exp_parts;
OUNCE_INLINE ounce_exp_parts ounce_exp_reduced(float x) {
    const float shifted = __builtin_fmaf(x, 1.44269504f, 12582912.0f), n = shifted - 12582912.0f;
    float r = __builtin_fmaf(n, -0.693145751953125f, x);
    r = __builtin_fmaf(n, -1.42860677e-6f, r);
    float p = 1.0f / 5040;
    p = __builtin_fmaf(p, r, 1.0f / 720);
    p = __builtin_fmaf(p, r, 1.0f / 120);
    p = __builtin_fmaf(p, r, 1.0f / 24);
    p = __builtin_fmaf(p, r, 1.0f / 6);
    p = __builtin_fmaf(p, r, 0.5f);
    p = __builtin_fmaf(p, r, 1.0f);
    p = __builtin_fmaf(p, r, 1.0f);
    return (ounce_exp_parts){p, ounce_bits(shifted)};
}
OUNCE_INLINE float ounce_exp_scaled(ounce_exp_parts e) {
    const uint32_t n = e.shifted - 0x4B400000u, half = (uint32_t)((int32_t)n >> 1);
    return e.power * ounce_float((half + 127) << 23) * ounce_float((n - half + 127) << 23);
}
OUNCE_INLINE float ounce_exp_inline(float x) {
    return ounce_exp_scaled(ounce_exp_reduced(ounce_clamp(x, -105.0f, 90.0f)));
}
// The same bits for x <= 0, where 2^(n + 64) fits and the last product rounds alone, and for |x| <= 80.
OUNCE_INLINE float ounce_exp_negative(float x) {
    const ounce_exp_parts e = ounce_exp_reduced(-105.0f > x ? -105.0f : x);
    return e.power * ounce_float((e.shifted << 23) + ((127u + 64) << 23)) * 0x1p-64f;
}
OUNCE_INLINE float ounce_exp_within(float x) {
    const ounce_exp_parts e = ounce_exp_reduced(x);
    return e.power * ounce_float((e.shifted << 23) + (127u << 23));
}

// x = 2^e m, sqrt(1/2) <= m < sqrt(2), f = m - 1, s = f / (2 + f): log m = 2 atanh s = f - s (f - R), R from the
// series of atanh to s^8.
OUNCE_INLINE float ounce_log_inline(float x) {
    const int tiny = x < 1.17549435e-38f;
    const float normal = tiny ? x * 8388608.0f : x;
    const uint32_t shifted = ounce_bits(normal) - 0x3F3504F3u;
    const float e = (float)((int32_t)shifted >> 23) - (tiny ? 23.0f : 0.0f);
    const float f = ounce_float((shifted & 0x007FFFFFu) + 0x3F3504F3u) - 1.0f, s = f / (2.0f + f), z = s * s;
    float r = 2.0f / 9;
    r = __builtin_fmaf(r, z, 2.0f / 7);
    r = __builtin_fmaf(r, z, 2.0f / 5);
    r = __builtin_fmaf(r, z, 2.0f / 3);
    r = r * z;
    const float low = __builtin_fmaf(e, 1.42860677e-6f, -(s * (f - r)));
    float y = __builtin_fmaf(e, 0.693145751953125f, f + low);
    y = x == 0.0f ? -__builtin_inff() : y;
    y = x < __builtin_inff() ? y : x;  // infinity and NaN
    return x < 0.0f ? __builtin_nanf("") : y;
}

// |x| < 0.625: x + x^3 P(x^2), P fitted at Chebyshev nodes (error below 2^-30); else 1 - 2 / (e^2|x| + 1).
OUNCE_INLINE float ounce_tanh_inline(float x) {
    const float a = ounce_float(ounce_bits(x) & 0x7FFFFFFFu), z = x * x;
    float p = 0.0022958412f;
    p = __builtin_fmaf(p, z, -0.0083469804f);
    p = __builtin_fmaf(p, z, 0.0217699613f);
    p = __builtin_fmaf(p, z, -0.0539594069f);
    p = __builtin_fmaf(p, z, 0.1333330423f);
    p = __builtin_fmaf(p, z, -0.3333333433f);
    const float near = __builtin_fmaf(p * z, x, x);
    const float far = 1.0f - 2.0f / (ounce_exp_within(2.0f * (30.0f < a ? 30.0f : a)) + 1.0f);  // 1 from a = 10 on
    const float signed_far = ounce_float(ounce_bits(far) | (ounce_bits(x) & 0x80000000u));
    return a < 0.625f ? near : signed_far;
}

OUNCE_INLINE float ounce_sigmoid_inline(float x) {
    const float e = ounce_exp_negative(ounce_float(ounce_bits(x) | 0x80000000u));  // e^-|x|
    return (x < 0.0f ? e : 1.0f) / (1.0f + e);
}

// |x| < 0.9: x P(x^2); else 1 - e^-Q(|x|) up to |x| = 4, both fitted at Chebyshev nodes (error below 2^-22).
OUNCE_INLINE float ounce_erf_inline(float x) {
    const float magnitude = ounce_float(ounce_bits(x) & 0x7FFFFFFFu), z = x * x;
    const float a = 4.0f < magnitude ? 4.0f : magnitude;
    float p = 8.5341206e-05f;
    p = __builtin_fmaf(p, z, -0.00081807812f);
    p = __builtin_fmaf(p, z, 0.0052043316f);
    p = __builtin_fmaf(p, z, -0.026860708f);
    p = __builtin_fmaf(p, z, 0.11283719f);
    p = __builtin_fmaf(p, z, -0.37612635f);
    p = __builtin_fmaf(p, z, 1.1283792f);
    float q = -1.6102405e-06f;
    q = __builtin_fmaf(q, a, 4.5512774e-05f);
    q = __builtin_fmaf(q, a, -0.00059209275f);
    q = __builtin_fmaf(q, a, 0.0047369506f);
    q = __builtin_fmaf(q, a, -0.026355121f);
    q = __builtin_fmaf(q, a, 0.1099608f);
    q = __builtin_fmaf(q, a, 0.6319562f);
    q = __builtin_fmaf(q, a, 1.1301551f);
    q = __builtin_fmaf(q, a, -0.00030026885f);
    const float far = 1.0f - ounce_exp_within(-q);  // -0.001 < q < 19
    const float signed_far = ounce_float(ounce_bits(far) | (ounce_bits(x) & 0x80000000u));
    return magnitude < 0.9f ? p * x : signed_far;
}

OUNCE_INLINE float ounce_gelu_inline(float x) { return 0.5f * x * (1.0f + ounce_erf_inline(x * 0.707106781f)); }

OUNCE_INLINE float ounce_gelu_tanh_inline(float x) {
    return 0.5f * x * (1.0f + ounce_tanh_inline(0.797884561f * (x + 0.044715f * x * x * x)));
}

OUNCE_INLINE float ounce_unary_inline(int32_t op, float alpha, float beta, float x) {
    switch (op) {
    case OUNCE_CLIP: return ounce_clamp(x, alpha, beta);
    case OUNCE_LEAKY_RELU: return x < 0.0f ? alpha * x : x;
    case OUNCE_SIGMOID: return ounce_sigmoid_inline(x);
    case OUNCE_TANH: return ounce_tanh_inline(x);
    case OUNCE_EXP: return ounce_exp_inline(x);
    case OUNCE_LOG: return ounce_log_inline(x);
    case OUNCE_SQRT: return __builtin_elementwise_sqrt(x);
    case OUNCE_NEGATE: return -x;
    case OUNCE_ABS: return ounce_float(ounce_bits(x) & 0x7FFFFFFFu);
    case OUNCE_HARD_SWISH: return x * ounce_clamp(x + 3.0f, 0.0f, 6.0f) * (1.0f / 6);
    case OUNCE_HARD_SIGMOID: return ounce_clamp(__builtin_fmaf(alpha, x, beta), 0.0f, 1.0f);
    case OUNCE_ERF: return ounce_erf_inline(x);
    case OUNCE_GELU: return ounce_gelu_inline(x);
    case OUNCE_GELU_TANH: return ounce_gelu_tanh_inline(x);
    default: return x;
    }
}

// Stands before a loop over one of these functions. A file that is compiled for vectors may define OUNCE_INTERLEAVE, how many
// sixteens of numbers are to be under way at once: each function is a long chain of operations that wait for each other.
// Numbers should come in whole blocks, as what is left over is not done so.
#ifdef OUNCE_INTERLEAVE
#pragma clang diagnostic ignored "-Wpass-failed"  // by builds that do not optimise
#define OUNCE_PRAGMA(text) _Pragma(#text)
#define OUNCE_INTERLEAVED_LOOP(count) OUNCE_PRAGMA(clang loop vectorize_width(16) interleave_count(count))
#define OUNCE_LOOP OUNCE_INTERLEAVED_LOOP(OUNCE_INTERLEAVE)
#else
#define OUNCE_LOOP
#endif
#define OUNCE_BLOCK 64

// A loop of its own for each function.
#define OUNCE_UNARY_LOOP(name)                                                                                \
    case OUNCE_##name:                                                                                        \
        OUNCE_LOOP for (int64_t i = 0; i < n; i++) out[i] = ounce_unary_inline(OUNCE_##name, alpha, beta, in[i]); \
        break;
OUNCE_INLINE void ounce_unary_loop(int32_t op, float alpha, float beta, const float *in, float *restrict out,
                                   int64_t n) {
    switch (op) {
        OUNCE_UNARY_LOOP(CLIP)
        OUNCE_UNARY_LOOP(LEAKY_RELU)
        OUNCE_UNARY_LOOP(SIGMOID)
        OUNCE_UNARY_LOOP(TANH)
        OUNCE_UNARY_LOOP(EXP)
        OUNCE_UNARY_LOOP(LOG)
        OUNCE_UNARY_LOOP(SQRT)
        OUNCE_UNARY_LOOP(NEGATE)
        OUNCE_UNARY_LOOP(ABS)
        OUNCE_UNARY_LOOP(HARD_SWISH)
        OUNCE_UNARY_LOOP(HARD_SIGMOID)
        OUNCE_UNARY_LOOP(ERF)
        OUNCE_UNARY_LOOP(GELU)
        OUNCE_UNARY_LOOP(GELU_TANH)
    default: break;
    }
}
#undef OUNCE_UNARY_LOOP

#ifdef OUNCE_INTERLEAVE
static inline __attribute__((noinline)) void ounce_unary_blocks(int32_t op, float alpha, float beta, const float *in,
                                                                float *restrict out, int64_t blocks) {
    ounce_unary_loop(op, alpha, beta, in, out, blocks * OUNCE_BLOCK);
}
OUNCE_INLINE void ounce_unary_run(int32_t op, float alpha, float beta, const float *in, float *restrict out,
                                  int64_t n) {
    const int64_t blocks = n / OUNCE_BLOCK, done = blocks * OUNCE_BLOCK;
    ounce_unary_blocks(op, alpha, beta, in, out, blocks);
    if (done == n) return;
    float x[OUNCE_BLOCK] = {0}, y[OUNCE_BLOCK];
    const size_t rest = (size_t)(n - done) * sizeof(float);
    memcpy(x, in + done, rest);
    ounce_unary_blocks(op, alpha, beta, x, y, 1);
    memcpy(out + done, y, rest);
}
#else
OUNCE_INLINE void ounce_unary_run(int32_t op, float alpha, float beta, const float *in, float *restrict out,
                                  int64_t n) {
    ounce_unary_loop(op, alpha, beta, in, out, n);
}
#endif

#endif
