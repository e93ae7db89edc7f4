// Winograd's convolution F(4x4, 3x3) (Lavin & Gray 2016, arXiv 1509.09308) on int8, with exact sums. The output is cut into
// tiles of 4x4 pixels. A tile reads 6x6 inputs d; with weights g of 3x3 there are 36 points, each with its own product over the
// input channels:
//
//   v = B d B'      u = G g G'      m = sum over channels of v u      r = A m A'      y = r / f
//
//       4  0 -5  0  1  0          6  0  0           1  4  4  1  1  0                   24
//       0 -4 -4  1  1  0         -1 -1 -1           0  2 -2  1 -1  0                   12
//   B = 0  4 -4 -1  1  0     G = -1  1 -1       A = 0  1  1  1  1  0      f = p p', p = 6
//       0 -2 -1  2  1  0          1  2  4           0  1 -1  2 -2  1                    6
//       0  2 -1 -2  1  0          1 -2  4
//       0  4  0 -5  0  1          0  0  6
//
// The usual matrices have fractions; here each row of G is multiplied by what makes it whole, and A makes up for it, so that
// all is integer: |v| <= 100 * 128 and |u| <= 49 * 128 fit int16, and sums are taken modulo 2^32. f is 9 times a power of two, at
// most 2^6: r times the inverse of 9 is y times that power, modulo 2^32, and a shift gives y where |y| < 2^25.
#ifndef OUNCE_WINOGRAD_H
#define OUNCE_WINOGRAD_H

#include "../kernels.h"

#include "../vector.h"

#define WINOGRAD_PATCH 6    // inputs of a tile, along each axis
#define WINOGRAD_TILE 4     // its outputs
#define WINOGRAD_POINTS 36
#define WINOGRAD_BLOCK 12   // tiles whose sums of all points by a panel of 16 output channels stay in the nearest cache
#define WINOGRAD_STRIP 48   // the most tiles whose inputs are transformed at once,
#define WINOGRAD_CACHED ((int64_t)(192 << 10))  // and about how many bytes they take, where more than a block
#define WINOGRAD_NINTH 0x38E38E39u  // times 9 is 1, modulo 2^32

// Tiles are numbered through images, rows and columns and cut into strips; a unit is a strip by a panel of 16 output channels,
// the panels of a strip one after the other.
typedef struct {
    int64_t rows, columns, tiles;  // tiles of an image: rows and columns; of all images
    int64_t strips, panels;
    int64_t depth;                 // input channels, filled up with weights of zero
    int64_t tile_step, point_step; // elements between the transformed inputs of tiles, and of points
    size_t panel_bytes;
} winograd_shape;

// Packed: for each panel 16 start values and 16 scales, then for each point sets of `set` successive input channels:
// [set][16 output channels][index in set], int16.
#define WINOGRAD_HEADER ((size_t)(OUNCE_LANES * 8))
#define WINOGRAD_DEPTH 8

OUNCE_INLINE winograd_shape make_winograd_shape(const ounce_conv_params *p) {
    winograd_shape s = {.rows = ounce_ceil_div(p->out_h, WINOGRAD_TILE), .columns = ounce_ceil_div(p->out_w, WINOGRAD_TILE)};
    s.tiles = p->batch * s.rows * s.columns;
    s.panels = ounce_ceil_div(p->out_c, OUNCE_LANES);
    s.depth = ounce_ceil_div(p->in_c, WINOGRAD_DEPTH) * WINOGRAD_DEPTH;
    s.tile_step = ounce_ceil_div(p->in_c, OUNCE_LANES) * OUNCE_LANES;
    const int64_t tile_bytes = WINOGRAD_POINTS * s.tile_step * (int64_t)sizeof(int16_t);
    const int64_t most = ounce_min64(ounce_max64(WINOGRAD_CACHED / tile_bytes, WINOGRAD_BLOCK), WINOGRAD_STRIP);
    s.strips = ounce_ceil_div(s.tiles, most);
    // Not a power of two, or all points of a channel would meet in the same lines of the cache.
    s.point_step = ounce_ceil_div(s.tiles, ounce_max64(s.strips, 1)) * s.tile_step + 32;
    s.panel_bytes = WINOGRAD_HEADER + (size_t)(WINOGRAD_POINTS * s.depth * OUNCE_LANES) * sizeof(int16_t);
    return s;
}

// The first tile of a strip; strips are of one size but for one tile.
OUNCE_INLINE int64_t winograd_tile(const winograd_shape *s, int64_t strip) {
    const int64_t size = s->tiles / s->strips, longer = s->tiles % s->strips;
    return strip * size + ounce_min64(strip, longer);
}

// Scratch: transformed inputs [point][tile][channel] int16, sums [point][tile of a block][16] int32, and the outputs of a tile.
OUNCE_INLINE size_t winograd_inputs_bytes(const winograd_shape *s) {
    return ounce_align64((size_t)(WINOGRAD_POINTS * s->point_step) * sizeof(int16_t));
}
#define WINOGRAD_SUMS_BYTES ((size_t)(WINOGRAD_POINTS * WINOGRAD_BLOCK * OUNCE_LANES) * sizeof(int32_t))
#define WINOGRAD_OUTPUTS_BYTES ((size_t)(WINOGRAD_TILE * WINOGRAD_TILE * OUNCE_LANES) * sizeof(int32_t))

#endif
