// How a copy is done: the box in bytes, its axes in the order of the target, as runs, as transpositions of two axes, or
// element by element.
#ifndef OUNCE_COPY_PLAN_H
#define OUNCE_COPY_PLAN_H

#include "../common.h"

typedef struct {
    int64_t extent, in, out;  // strides in bytes
} copy_axis;

typedef enum {
    COPY_RUNS,       // `inner` is contiguous in source and target, its extent in bytes; `line` is any axis
    COPY_TRANSPOSE,  // `inner` is contiguous in the target, `line` in the source
    COPY_STRIDED,    // one element after the other along `inner`; with fill each is a run
} copy_kind;

typedef struct {
    copy_kind kind;
    int rank;
    copy_axis axis[OUNCE_MAX_RANK];  // the outer ones, largest step in the target first
    copy_axis line, inner;
    int64_t size, outer;  // bytes of an element; the product of the outer extents
    // A unit is `group` outer indices, or a block of one: lines by inner places, the last block of an axis taking the rest.
    int64_t group, line_block, inner_block, line_blocks, inner_blocks;
    // Of a copy with fill: runs, or whole outer indices of a transposition, lie one behind the other in the target, so that
    // a unit fills what lies before its own. Otherwise all is filled first, and there is one unit.
    int gaps;
    int64_t span;  // bytes from the first to the last of an outer index in the target, where there are gaps
} copy_plan;

#define COPY_BLOCK 64           // of a transposition where both axes are long
#define COPY_LONG_BLOCK 4096    // where the other is short
#define COPY_SHORT_AXIS 16
#define COPY_UNIT_BYTES 16384

// The axes that have more than one place, by their step in the target, joined where one continues the other.
OUNCE_INLINE void copy_sort_axes(copy_plan *c, const ounce_copy_params *p) {
    copy_axis sorted[OUNCE_MAX_RANK];
    int count = 0;
    for (int i = 0; i < p->rank; i++) {
        if (p->extent[i] == 1) continue;
        const copy_axis axis = {p->extent[i], p->in_stride[i] * c->size, p->out_stride[i] * c->size};
        int at = count++;
        for (; at > 0 && sorted[at - 1].out < axis.out; at--) sorted[at] = sorted[at - 1];
        sorted[at] = axis;
    }
    for (int i = 0; i < count; i++) {
        copy_axis *last = c->axis + (c->rank > 0 ? c->rank - 1 : 0);
        if (c->rank > 0 && last->in == sorted[i].in * sorted[i].extent && last->out == sorted[i].out * sorted[i].extent) {
            *last = (copy_axis){last->extent * sorted[i].extent, sorted[i].in, sorted[i].out};
        } else {
            c->axis[c->rank++] = sorted[i];
        }
    }
}

OUNCE_INLINE copy_axis copy_take_axis(copy_plan *c, int at) {
    const copy_axis taken = c->axis[at];
    c->rank--;
    for (int i = at; i < c->rank; i++) c->axis[i] = c->axis[i + 1];
    return taken;
}

// Blocks of an axis of which only the last may be longer than `block`, and none shorter.
OUNCE_INLINE int64_t copy_blocks(int64_t extent, int64_t block) { return ounce_max64(1, extent / block); }

OUNCE_INLINE void copy_choose_kind(copy_plan *c, int has_fill) {
    c->kind = COPY_STRIDED;
    c->line = (copy_axis){1, 0, INT64_MAX};
    c->inner = (copy_axis){1, c->size, c->size};
    if (c->rank > 0) c->inner = copy_take_axis(c, c->rank - 1);
    if (c->inner.out != c->size) {
        if (!has_fill) return;
        c->kind = COPY_RUNS, c->line = c->inner, c->inner = (copy_axis){c->size, 1, 1};
        return;
    }
    // A short run that is as long as a larger element is one.
    while (c->inner.in == c->size && c->rank > 0) {
        const int64_t bytes = c->inner.extent * c->size;
        if (bytes > 8 || (bytes & (bytes - 1)) || c->axis[c->rank - 1].out != bytes) break;
        c->size = bytes;
        c->inner = copy_take_axis(c, c->rank - 1);
    }
    if (c->inner.in == c->size) {
        c->kind = COPY_RUNS;
        c->inner = (copy_axis){c->inner.extent * c->size, 1, 1};
        if (c->rank > 0) c->line = copy_take_axis(c, c->rank - 1);
        return;
    }
    for (int i = 0; i < c->rank; i++) {
        if (c->axis[i].in != c->size) continue;
        c->kind = COPY_TRANSPOSE;
        c->line = copy_take_axis(c, i);
        return;
    }
}

// Whether the target's gaps can be filled in its order; sets `span`.
OUNCE_INLINE int copy_has_gaps(copy_plan *c) {
    const int64_t bytes = c->kind == COPY_RUNS ? c->inner.extent : c->inner.extent * c->size;
    if (c->kind == COPY_STRIDED || c->line.out < bytes) return 0;
    if (c->kind == COPY_TRANSPOSE && c->line.out > bytes) return 0;
    int64_t covered = c->span = (c->line.extent - 1) * c->line.out + bytes;
    for (int i = c->rank - 1; i >= 0; i--) {
        if (c->axis[i].out < covered) return 0;
        covered += (c->axis[i].extent - 1) * c->axis[i].out;
    }
    return 1;
}

OUNCE_INLINE copy_plan make_copy_plan(const ounce_copy_params *p) {
    copy_plan c = {.size = p->element_size, .outer = 1, .group = 1, .line_blocks = 1, .inner_blocks = 1};
    copy_sort_axes(&c, p);
    copy_choose_kind(&c, p->fill_count > 0);
    for (int i = 0; i < c.rank; i++) c.outer *= c.axis[i].extent;
    if (c.inner.extent == 0 || c.line.extent == 0) c.outer = 0;
    c.gaps = p->fill_count > 0 && c.outer > 0 && copy_has_gaps(&c);
    c.line_block = c.inner_block = COPY_LONG_BLOCK;
    if (c.kind == COPY_TRANSPOSE) {
        if (c.inner.extent >= COPY_SHORT_AXIS) c.line_block = COPY_BLOCK;
        if (c.line.extent >= COPY_SHORT_AXIS) c.inner_block = COPY_BLOCK;
    } else if (c.kind == COPY_RUNS) {
        c.inner_block = COPY_UNIT_BYTES;
        c.line_block = ounce_max64(1, COPY_UNIT_BYTES / ounce_max64(1, c.inner.extent));
    }
    c.line_blocks = copy_blocks(c.line.extent, c.line_block);
    c.inner_blocks = c.gaps && c.kind == COPY_RUNS ? 1 : copy_blocks(c.inner.extent, c.inner_block);
    const int64_t bytes = ounce_max64(1, c.line.extent * c.inner.extent);
    if (c.line_blocks * c.inner_blocks == 1) c.group = ounce_max64(1, COPY_UNIT_BYTES / bytes);
    return c;
}

OUNCE_INLINE int64_t copy_units(const copy_plan *c) {
    const int64_t groups = ounce_ceil_div(c->outer, c->group);
    return c->gaps && c->kind == COPY_TRANSPOSE ? groups : groups * c->line_blocks * c->inner_blocks;
}

#endif
