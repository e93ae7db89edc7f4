// Packs weights for Winograd's convolution, and says for which it is exact.
#include "winograd.h"

// |y| < 2^25, whatever the inputs.
#define LARGEST (((int64_t)1 << 25) - 1)

bool ounce_conv_s8_winograd_supports(const void *params, const ounce_conv_weights *weights) {
    const ounce_conv_params *p = params;
    if (p->groups != 1 || p->kernel_h != 3 || p->kernel_w != 3 || p->stride_h != 1 || p->stride_w != 1) return false;
    if (p->dilation_h != 1 || p->dilation_w != 1) return false;
    const int64_t channel = 9 * (int64_t)p->in_c;
    if (channel * 128 * 128 <= LARGEST) return true;
    if (!weights || channel > INT32_MAX / 128) return false;
    const int8_t *w = weights->weights;
    for (int64_t n = 0; n < p->out_c; n++, w += channel) {
        int32_t sum = 0;
        for (int64_t k = 0; k < channel; k++) sum += w[k] < 0 ? -w[k] : w[k];
        if ((int64_t)sum * 128 > LARGEST) return false;
    }
    return true;
}

int64_t ounce_conv_s8_winograd_units(const void *params) {
    const winograd_shape s = make_winograd_shape(params);
    return s.strips * s.panels;
}

size_t ounce_conv_s8_winograd_scratch(const void *params) {
    const winograd_shape s = make_winograd_shape(params);
    return winograd_inputs_bytes(&s) + WINOGRAD_SUMS_BYTES + WINOGRAD_OUTPUTS_BYTES;
}

size_t ounce_conv_s8_winograd_size(const void *params, const ounce_conv_weights *weights) {
    (void)weights;
    const winograd_shape s = make_winograd_shape(params);
    return (size_t)s.panels * s.panel_bytes;
}

// Input channels that are transformed at once.
#define SOME 16

// G times three weights of SOME channels each, `from_step` apart, to six, `to_step` apart.
OUNCE_INLINE void line_of_weights(const int16_t *from, int64_t from_step, int16_t *to, int64_t to_step) {
    const v16s a = LOAD(v16s, from), b = LOAD(v16s, from + from_step), c = LOAD(v16s, from + 2 * from_step);
    const v16s ends = a + c, far = a + (c << 2);
    const v16s u[WINOGRAD_PATCH] = {a * 6, -ends - b, b - ends, far + (b << 1), far - (b << 1), c * 6};
    OUNCE_UNROLL for (int i = 0; i < WINOGRAD_PATCH; i++) memcpy(to + i * to_step, &u[i], sizeof u[i]);
}

// All points of one output channel by SOME input channels.
static void transform_weights(const int16_t g[3][3][SOME], int16_t u[WINOGRAD_PATCH][WINOGRAD_PATCH][SOME]) {
    int16_t half[WINOGRAD_PATCH][3][SOME];
    for (int j = 0; j < 3; j++) line_of_weights(g[0][j], 3 * SOME, half[0][j], 3 * SOME);
    for (int i = 0; i < WINOGRAD_PATCH; i++) line_of_weights(half[i][0], SOME, u[i][0], SOME);
}

static void pack_winograd(const ounce_conv_params *p, const ounce_conv_weights *weights, int64_t set, void *packed) {
    const winograd_shape s = make_winograd_shape(p);
    const int64_t channel = 9 * (int64_t)p->in_c, point = s.depth * OUNCE_LANES;
    for (int64_t n = 0; n < s.panels; n++) {
        char *panel = (char *)packed + (size_t)n * s.panel_bytes;
        int32_t *start = (int32_t *)panel;
        float *scale = (float *)(start + OUNCE_LANES);
        const int64_t lanes = ounce_min64(OUNCE_LANES, p->out_c - n * OUNCE_LANES);
        if (lanes < OUNCE_LANES) memset(panel, 0, s.panel_bytes);
        for (int64_t lane = 0; lane < lanes; lane++) {
            const int8_t *w = (const int8_t *)weights->weights + (n * OUNCE_LANES + lane) * channel;
            int32_t sum = 0;
            for (int64_t k = 0; k < channel; k++) sum = ounce_wrap_add(sum, w[k]);
            const int32_t bias = weights->bias ? ((const int32_t *)weights->bias)[n * OUNCE_LANES + lane] : 0;
            start[lane] = ounce_wrap_add(bias, ounce_wrap_mul(-p->in_zero, sum));
            scale[lane] = weights->scale[n * OUNCE_LANES + lane];
            int16_t *to = (int16_t *)(panel + WINOGRAD_HEADER) + lane * set;
            for (int64_t first = 0; first < s.depth; first += SOME) {
                const int64_t some = ounce_min64(SOME, p->in_c - first), filled = ounce_min64(SOME, s.depth - first);
                int16_t g[3][3][SOME] = {0}, u[WINOGRAD_PATCH][WINOGRAD_PATCH][SOME];
                for (int at = 0; at < 9; at++) {
                    for (int64_t k = 0; k < some; k++) g[at / 3][at % 3][k] = w[at * p->in_c + first + k];
                }
                transform_weights(g, u);
                for (int at = 0; at < WINOGRAD_POINTS; at++) {
                    int16_t *place = to + at * point + first * OUNCE_LANES;
                    for (int64_t k = 0; k < filled; k += set, place += set * OUNCE_LANES) {
                        memcpy(place, &u[at / WINOGRAD_PATCH][at % WINOGRAD_PATCH][k], (size_t)set * sizeof(int16_t));
                    }
                }
            }
        }
    }
}

void ounce_conv_s8_winograd_pairs_pack(const void *params, const ounce_conv_weights *weights, void *packed) {
    pack_winograd(params, weights, 2, packed);
}
void ounce_conv_s8_winograd_single_pack(const void *params, const ounce_conv_weights *weights, void *packed) {
    pack_winograd(params, weights, 1, packed);
}
