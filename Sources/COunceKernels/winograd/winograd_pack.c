// Packs weights for Winograd's convolution, and says for which it is exact.
#include "winograd.h"

// |y| < 2^25, whatever the inputs.
#define LARGEST (((int64_t)1 << 25) - 1)

static bool is_plain(const ounce_conv_params *p) {
    return p->groups == 1 && p->kernel_h == 3 && p->kernel_w == 3 && p->stride_h == 1 && p->stride_w == 1 &&
           p->dilation_h == 1 && p->dilation_w == 1;
}

bool ounce_conv_s8_winograd_supports(const void *params, const ounce_conv_weights *weights) {
    const ounce_conv_params *p = params;
    if (!is_plain(p)) return false;
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

// Beside dot products of int8, weights must not come from far away.
#define LARGEST_WEIGHTS ((size_t)2 << 20)
bool ounce_conv_s8_winograd_dot_supports(const void *params, const ounce_conv_weights *weights) {
    return is_plain(params) && ounce_conv_s8_winograd_size(params, NULL) <= LARGEST_WEIGHTS &&
           ounce_conv_s8_winograd_supports(params, weights);
}

// G times three vectors of weights, `from_step` of them apart, to six, `to_step` apart.
OUNCE_INLINE void line_of_weights(const v16s *from, int64_t from_step, v16s *to, int64_t to_step) {
    const v16s a = from[0], b = from[from_step], c = from[2 * from_step], ends = a + c, far = a + (c << 2);
    to[0] = a * 6;
    to[to_step] = -ends - b;
    to[2 * to_step] = b - ends;
    to[3 * to_step] = far + (b << 1);
    to[4 * to_step] = far - (b << 1);
    to[5 * to_step] = c * 6;
}

// Sixteen weights of each of the 9 places to those of the points, `step` elements apart.
static void transform_weights(const int8_t w[9][2 * OUNCE_LANES], int16_t *to, int64_t step) {
    v16s g[9], half[WINOGRAD_PATCH * 3], u[WINOGRAD_PATCH];
    for (int at = 0; at < 9; at++) g[at] = __builtin_convertvector(LOAD(v16b, w[at]), v16s);
    for (int j = 0; j < 3; j++) line_of_weights(g + j, 3, half + j, 3);
    for (int i = 0; i < WINOGRAD_PATCH; i++) {
        line_of_weights(half + 3 * i, 1, u, 1);
        for (int j = 0; j < WINOGRAD_PATCH; j++, to += step) memcpy(to, &u[j], sizeof u[j]);
    }
}

// The weights of a panel's `lanes` channels by two input channels, ordered as they will be.
OUNCE_INLINE void gather_weights(const ounce_conv_params *p, const int8_t *w, int64_t k, int64_t lanes, const int64_t set,
                                 int8_t to[9][2 * OUNCE_LANES]) {
    const int64_t next = set == 2 ? 1 : OUNCE_LANES, in_c = p->in_c;
    for (int64_t lane = 0; lane < lanes; lane++, w += 9 * in_c) {
        for (int at = 0; at < 9; at++) {
            to[at][lane * set] = w[at * in_c + k];
            to[at][lane * set + next] = k + 1 < in_c ? w[at * in_c + k + 1] : 0;
        }
    }
}

OUNCE_INLINE void pack_winograd(const ounce_conv_params *p, const ounce_conv_weights *weights, const int64_t set,
                                void *packed) {
    const winograd_shape s = make_winograd_shape(p);
    const int64_t channel = 9 * (int64_t)p->in_c, point = s.depth * OUNCE_LANES;
    for (int64_t n = 0; n < s.panels; n++) {
        char *panel = (char *)packed + (size_t)n * s.panel_bytes;
        int32_t *start = (int32_t *)panel;
        float *scale = (float *)(start + OUNCE_LANES);
        const int8_t *from = (const int8_t *)weights->weights + n * OUNCE_LANES * channel;
        const int64_t lanes = ounce_min64(OUNCE_LANES, p->out_c - n * OUNCE_LANES);
        memset(panel, 0, WINOGRAD_HEADER);
        for (int64_t lane = 0; lane < lanes; lane++) {
            int32_t sum = 0;
            for (int64_t k = 0; k < channel; k++) sum = ounce_wrap_add(sum, from[lane * channel + k]);
            const int32_t bias = weights->bias ? ((const int32_t *)weights->bias)[n * OUNCE_LANES + lane] : 0;
            start[lane] = ounce_wrap_add(bias, ounce_wrap_mul(-p->in_zero, sum));
            scale[lane] = weights->scale[n * OUNCE_LANES + lane];
        }
        int8_t w[9][2 * OUNCE_LANES] = {0};
        int16_t *to = (int16_t *)(panel + WINOGRAD_HEADER);
        for (int64_t k = 0; k < s.depth; k += 2, to += 2 * OUNCE_LANES) {
            if (k < p->in_c) gather_weights(p, from, k, lanes, set, w);
            else memset(w, 0, sizeof w);
            transform_weights(w, to, point);
            transform_weights((const int8_t(*)[2 * OUNCE_LANES])(w[0] + OUNCE_LANES), to + OUNCE_LANES, point);
        }
    }
}

void ounce_conv_s8_winograd_pairs_pack(const void *params, const ounce_conv_weights *weights, void *packed) {
    pack_winograd(params, weights, 2, packed);
}
void ounce_conv_s8_winograd_single_pack(const void *params, const ounce_conv_weights *weights, void *packed) {
    pack_winograd(params, weights, 1, packed);
}
