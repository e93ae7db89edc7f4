// The int8 depthwise convolutions that multiply several taps by one instruction. GROUP taps (4 int8 or 2 int16) of
// every channel must lie side by side, so a unit first interleaves the input: `planes` of GROUP kernel rows each
// (kernel columns where the kernel has one row), four bytes for each place. Kernel columns then read the same plane,
// shifted.
//   taps of plane g:     rows g * GROUP ... (past the last row: that row again, with zero weights)
//   terms of an output:  planes x kernel columns
// Sixteen outputs are computed at a time. With stride 1 and few channels an output row is one flat run of places, whose
// channels repeat after `period` = lcm(channels, 16) places; else each pixel's channels are cut into sixteens.
// A unit is a stretch of `columns` pixels of an output row.
#ifndef OUNCE_INTERLEAVE_H
#define OUNCE_INTERLEAVE_H

#include "../kernels.h"
#include "../vector.h"

typedef struct {
    int64_t planes, shifts, terms;  // terms = planes * shifts
    int64_t tap_step, tap_count;    // taps that are grouped: elements between them, and how many
    int64_t shift_step;             // places between kernel columns in a plane
    int64_t flat, period, blocks;   // blocks = period / 16
    int64_t columns, stretches;
    int64_t plane_places;           // with room for whole vectors
    size_t block_bytes;
} interleaving;

OUNCE_INLINE interleaving make_interleaving(const ounce_conv_params *p, int64_t group) {
    interleaving s = {0};
    const int64_t c = p->in_c;
    const int by_rows = p->kernel_h > 1;
    s.tap_count = by_rows ? p->kernel_h : p->kernel_w;
    s.tap_step = by_rows ? p->dilation_h * p->in_row : p->dilation_w * c;
    s.planes = ounce_ceil_div(s.tap_count, group);
    s.shifts = by_rows ? p->kernel_w : 1;
    s.shift_step = p->dilation_w * c;
    s.terms = s.planes * s.shifts;
    s.flat = p->stride_w == 1 && (c < 64 || c % OUNCE_LANES == 0);
    int64_t repeats = 1;
    while (s.flat && c * repeats % OUNCE_LANES) repeats *= 2;
    s.period = s.flat ? c * repeats : ounce_ceil_div(c, OUNCE_LANES) * OUNCE_LANES;
    s.blocks = s.period / OUNCE_LANES;
    s.block_bytes = 128 + (size_t)s.terms * 64;
    const int64_t cached = 6144 / (c * s.planes * p->stride_w);
    s.columns = ounce_min64(p->out_w, ounce_max64(4, cached));
    s.stretches = ounce_ceil_div(p->out_w, s.columns);
    const int64_t span = (s.columns - 1) * p->stride_w + (s.shifts - 1) * p->dilation_w + 1;
    s.plane_places = (span * c + 127) / 64 * 64;
    return s;
}

#endif
