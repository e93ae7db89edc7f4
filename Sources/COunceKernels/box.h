// Boxes of up to OUNCE_MAX_RANK axes that several operands step through, each with its own strides.
#ifndef OUNCE_BOX_H
#define OUNCE_BOX_H

#include "common.h"

#define OUNCE_BOX_OPERANDS 3
typedef struct {
    int32_t rank;                                           // at least 1; the last axis is the inner one
    int64_t rows;                                           // the product of the outer extents
    int64_t units_per_row;                                  // an inner axis is split into chunks
    int64_t extent[OUNCE_MAX_RANK];
    int64_t stride[OUNCE_BOX_OPERANDS][OUNCE_MAX_RANK];
} ounce_box;

// Appends an axis inside those already there: one of extent 1 vanishes, one that continues the last axis joins it.
OUNCE_INLINE void ounce_box_append(ounce_box *box, int64_t extent, int64_t s0, int64_t s1, int64_t s2) {
    if (extent == 1) return;
    const int64_t strides[OUNCE_BOX_OPERANDS] = {s0, s1, s2};
    int joins = box->rank > 0;
    for (int i = 0; i < OUNCE_BOX_OPERANDS && joins; i++) joins = box->stride[i][box->rank - 1] == strides[i] * extent;
    if (joins) {
        box->extent[box->rank - 1] *= extent;
    } else {
        box->extent[box->rank++] = extent;
    }
    for (int i = 0; i < OUNCE_BOX_OPERANDS; i++) box->stride[i][box->rank - 1] = strides[i];
}

OUNCE_INLINE void ounce_box_finish(ounce_box *box) {
    if (box->rank == 0) {
        box->rank = 1;
        box->extent[0] = 1;
        for (int i = 0; i < OUNCE_BOX_OPERANDS; i++) box->stride[i][0] = 1;
    }
    box->rows = 1;
    for (int axis = 0; axis < box->rank - 1; axis++) box->rows *= box->extent[axis];
    box->units_per_row = ounce_chunks(box->extent[box->rank - 1]);
}

OUNCE_INLINE int64_t ounce_box_units(const ounce_box *box) { return box->rows * box->units_per_row; }

// A run along the inner axis: where each operand starts, and how many elements.
typedef struct {
    int64_t offset[OUNCE_BOX_OPERANDS], count;
} ounce_run;
OUNCE_INLINE ounce_run ounce_box_unit(const ounce_box *box, int64_t unit) {
    const int inner = box->rank - 1;
    int64_t row = unit / box->units_per_row;
    const int64_t from = unit % box->units_per_row * OUNCE_CHUNK;
    ounce_run run = {.count = ounce_min64(OUNCE_CHUNK, box->extent[inner] - from)};
    for (int i = 0; i < OUNCE_BOX_OPERANDS; i++) run.offset[i] = from * box->stride[i][inner];
    for (int axis = inner - 1; axis >= 0; axis--) {
        const int64_t index = row % box->extent[axis];
        row /= box->extent[axis];
        for (int i = 0; i < OUNCE_BOX_OPERANDS; i++) run.offset[i] += index * box->stride[i][axis];
    }
    return run;
}

#endif
