// Int8 weights that are small numbers (4 bits: -8...7, 2 bits: -2...1) times a factor for every 32 successive inputs of a
// segment and each channel (1 for plain 4-bit weights). They stay small in memory and are unpacked in registers, which
// pays where a layer is bound by reading its weights. The sums are those of the int8 weights: exact.
#ifndef OUNCE_NARROW_H
#define OUNCE_NARROW_H

#include "../conv/tile.h"

#define NARROW_BLOCK 32  // inputs of a block
#define NARROW_GROUPS (NARROW_BLOCK / 4)

// A panel: 16 start values, 16 scales, the factors of all blocks [block][16 channels] as int8, filled up to a whole cache
// line, then the blocks: vectors of 64 bytes [16 channels][4 inputs]. Field f (lowest bits first) of vector v holds the
// weights of inputs 4 (v + f * vectors) and the next three.
OUNCE_INLINE int64_t narrow_blocks(const conv_shape *s) {
    return s->rows * s->columns * ounce_ceil_div(s->length, NARROW_BLOCK);
}
OUNCE_INLINE size_t narrow_factors_bytes(const conv_shape *s) {
    return ounce_align64((size_t)narrow_blocks(s) * OUNCE_LANES);
}
OUNCE_INLINE size_t narrow_panel_bytes(const conv_shape *s, int bits) {
    return PANEL_HEADER + narrow_factors_bytes(s) + (size_t)narrow_blocks(s) * NARROW_GROUPS * 8 * (size_t)bits;
}

#endif
