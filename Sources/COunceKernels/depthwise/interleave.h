// The int8 depthwise convolutions that multiply several taps by one instruction. GROUP taps (4 int8 or 2 int16) of
// every channel must lie side by side, so a unit first interleaves the input: `planes` of GROUP kernel rows each
// (kernel columns where the kernel has one row), four bytes for each place. Kernel columns then read the same plane,
// shifted.
//   taps of plane g:     rows g * GROUP ... (past the last row: that row again, with zero weights)
//   terms of an output:  planes x kernel columns
// `lanes` outputs (16 or 64) are computed at a time: a block. Where pixels may share a block, an output row is one flat run
// of places, whose channels repeat after `period` = lcm(channels, lanes) places; else each pixel's channels are cut into
// blocks. A unit is a stretch of `columns` pixels of an output row, or of two (`rows`) that share planes of four rows: the
// second row's three taps are their last ones. With 16 lanes the weights are packed a second time for it, one tap later.
#ifndef OUNCE_INTERLEAVE_H
#define OUNCE_INTERLEAVE_H

#include "../kernels.h"
#include "../vector.h"

typedef struct {
    int64_t planes, shifts, terms;  // terms = planes * shifts
    int64_t tap_step, tap_count;    // taps that are grouped: elements between them, and how many
    int64_t shift_step;             // places between kernel columns in a plane
    int64_t lanes, flat, period, blocks;  // blocks = period / lanes
    int64_t columns, stretches, rows;
    int64_t plane_places;           // with room for whole vectors
    size_t block_bytes;
} interleaving;

OUNCE_INLINE interleaving make_interleaving(const ounce_conv_params *p, int64_t group, int64_t lanes) {
    interleaving s = {.lanes = lanes};
    const int64_t c = p->in_c;
    const int by_rows = p->kernel_h > 1;
    s.tap_count = by_rows ? p->kernel_h : p->kernel_w;
    s.tap_step = by_rows ? p->dilation_h * p->in_row : p->dilation_w * c;
    s.planes = ounce_ceil_div(s.tap_count, group);
    s.shifts = by_rows ? p->kernel_w : 1;
    s.shift_step = p->dilation_w * c;
    const int rows_share = s.tap_count == 3 && by_rows && p->stride_h == 1 && p->dilation_h == 1;
    s.rows = rows_share && s.shifts == 3 ? 2 : 1;
    s.terms = s.planes * s.shifts;
    int64_t period = c;
    while (period % lanes) period *= 2;  // lanes is a power of two
    // Sixteen successive outputs read sixteen successive places.
    const int runs = p->stride_w == 1 || c % OUNCE_LANES == 0;
    s.flat = lanes == OUNCE_LANES ? p->stride_w == 1 && (c < 64 || c % OUNCE_LANES == 0) : runs && period <= 2048;
    s.period = s.flat ? period : ounce_ceil_div(c, lanes) * lanes;
    s.blocks = s.period / lanes;
    s.block_bytes = (size_t)lanes * 8 + (size_t)(s.terms * lanes) * 4 * (s.rows == 2 && lanes == OUNCE_LANES ? 2 : 1);
    const int64_t cached = ounce_max64(4, 6144 / (c * s.planes * p->stride_w));
    s.stretches = ounce_ceil_div(p->out_w, cached);
    s.columns = ounce_ceil_div(p->out_w, s.stretches);
    const int64_t beyond = ounce_ceil_div(lanes, c);  // pixels of a block that begins with the last place
    const int64_t span = (s.columns - 1 + beyond) * p->stride_w + (s.shifts - 1) * p->dilation_w + 1;
    s.plane_places = (span * c + 127) / 64 * 64;
    return s;
}

#endif
