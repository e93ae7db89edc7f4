// Softmax of a row; `e` holds its exponentials.
#include "../math/polynomials.h"

#define LANES 16

// The sum in the contract's order, whatever the vector width.
OUNCE_INLINE float lane_sum(const float *e, int64_t n) {
    float lanes[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (int lane = 0; lane < LANES; lane++) lanes[lane] = lanes[lane] + e[i + lane];
    }
    for (int lane = 0; i + lane < n; lane++) lanes[lane] = lanes[lane] + e[i + lane];
    for (int step = LANES / 2; step > 0; step /= 2) {
        for (int lane = 0; lane < step; lane++) lanes[lane] = lanes[lane] + lanes[lane + step];
    }
    return lanes[0];
}

// In lanes: numbers may be compared in any order, and which zero is the largest makes no difference to what it is
// subtracted from.
OUNCE_INLINE float largest(const float *x, int64_t n) {
    float max = -__builtin_inff();
    int64_t i = 0;
    if (n >= LANES) {
        float lanes[LANES];
        for (int lane = 0; lane < LANES; lane++) lanes[lane] = max;
        for (; i + LANES <= n; i += LANES) {
            for (int lane = 0; lane < LANES; lane++) {
                lanes[lane] = x[i + lane] > lanes[lane] ? x[i + lane] : lanes[lane];
            }
        }
        for (int step = LANES / 2; step > 0; step /= 2) {
            for (int lane = 0; lane < step; lane++) {
                lanes[lane] = lanes[lane + step] > lanes[lane] ? lanes[lane + step] : lanes[lane];
            }
        }
        max = lanes[0];
    }
    for (; i < n; i++) max = x[i] > max ? x[i] : max;
    return max;
}

// `out` may be `in`.
OUNCE_INLINE void softmax_row(const float *in, float *restrict e, float *out, int64_t n) {
    const float max = largest(in, n);
    const int64_t whole = n / OUNCE_BLOCK * OUNCE_BLOCK;
    OUNCE_LOOP for (int64_t i = 0; i < whole; i++) e[i] = ounce_exp_negative(in[i] - max);
    for (int64_t i = whole; i < n; i++) e[i] = ounce_exp_negative(in[i] - max);
    const float sum = lane_sum(e, n);
    for (int64_t i = 0; i < n; i++) out[i] = e[i] / sum;
}

#undef LANES
