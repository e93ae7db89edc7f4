#include "recurrent.h"

size_t ounce_recurrent_size(const void *params, const ounce_conv_weights *weights) {
    (void)weights;
    const recurrent_shape s = make_recurrent_shape(params);
    return (size_t)recurrent_floats(params, &s) * sizeof(float);
}

void ounce_recurrent_pack(const void *params, const ounce_conv_weights *weights, void *packed) {
    const ounce_recurrent_params *p = params;
    const recurrent_shape s = make_recurrent_shape(p);
    const int64_t columns = p->width + p->hidden, given = s.gates * p->hidden;
    const float *from = weights->weights, *bias = weights->bias;
    float *to = packed;
    memset(to, 0, (size_t)recurrent_floats(p, &s) * sizeof(float));
    for (int64_t gate = 0; gate < s.gates; gate++) {
        const int is_candidate = s.has_candidate && gate == 2;
        for (int64_t j = 0; j < p->hidden; j++) {
            const int64_t row = gate * p->hidden + j, panel = gate * s.panels + j / OUNCE_LANES, lane = j % OUNCE_LANES;
            if (bias) {
                to[panel * OUNCE_LANES + lane] = is_candidate ? bias[row] : bias[row] + bias[given + row];
                if (is_candidate) to[s.rows + j] = bias[given + row];
            }
            float *x = to + recurrent_inputs(&s) + panel * p->width * OUNCE_LANES + lane;
            float *h = to + recurrent_hidden(p, &s) + panel * p->hidden * OUNCE_LANES + lane;
            for (int64_t k = 0; k < p->width; k++) x[k * OUNCE_LANES] = from[row * columns + k];
            for (int64_t k = 0; k < p->hidden; k++) h[k * OUNCE_LANES] = from[row * columns + p->width + k];
        }
    }
}

// Input products of some steps, sums of one step, the state, and the reset state of a GRU, filled up to whole panels.
size_t ounce_recurrent_scratch(const void *params) {
    const recurrent_shape s = make_recurrent_shape(params);
    return (size_t)((RECURRENT_STEPS + 1) * s.rows + 3 * s.panels * OUNCE_LANES) * sizeof(float);
}

int64_t ounce_recurrent_units(const void *params) { return ((const ounce_recurrent_params *)params)->batch; }
