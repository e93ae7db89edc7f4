// What the recurrent kernels share: weights in panels of sixteen rows, each gate filled up to whole panels.
#ifndef OUNCE_RECURRENT_H
#define OUNCE_RECURRENT_H

#include "../kernels.h"
#include "../vector.h"

// Steps whose input products are formed together.
#define RECURRENT_STEPS 8

typedef struct {
    int64_t gates, panels;  // panels of a gate
    int64_t rows;           // of all gates, filled up
    int has_candidate;      // GRU with linear_before_reset: the candidate's recurrent product has a bias of its own
} recurrent_shape;

OUNCE_INLINE recurrent_shape make_recurrent_shape(const ounce_recurrent_params *p) {
    const int64_t gates = p->is_lstm ? 4 : 3, panels = ounce_ceil_div(p->hidden, OUNCE_LANES);
    return (recurrent_shape){gates, panels, gates * panels * OUNCE_LANES, !p->is_lstm && p->linear_before_reset};
}

// Packed: start values of the input products [rows], the candidate's recurrent bias [a gate], then for each panel
// [width][16] of the input weights, then for each panel [hidden][16] of the recurrent ones.
OUNCE_INLINE int64_t recurrent_inputs(const recurrent_shape *s) { return s->rows + s->panels * OUNCE_LANES; }
OUNCE_INLINE int64_t recurrent_hidden(const ounce_recurrent_params *p, const recurrent_shape *s) {
    return recurrent_inputs(s) + s->rows * p->width;
}
OUNCE_INLINE int64_t recurrent_floats(const ounce_recurrent_params *p, const recurrent_shape *s) {
    return recurrent_hidden(p, s) + s->rows * p->hidden;
}

#endif
