// Winograd's convolution (winograd.h); compiled once for each instruction set. The including file defines WINOGRAD_SHORTS and
// WINOGRAD_WORDS (lanes of int16 and of int32 that are worked on at once), WINOGRAD_AT_ONCE (tiles of one product), and
//   products(x, tile_step, w, depth, sums, tiles)  the sums of `tiles` tiles at one point
//   output_range, make_output_range(p)             what store_pixels() needs of the parameters
//   store_pixels(out, step, sums, scale, range, pixels, channels)  requantises neighbours in a row, `step` apart
// Types of vectors are the compiler's here, and whatever is computed wraps around.
#include "../conv/residual.h"
#include "winograd.h"

typedef int16_t shorts __attribute__((vector_size(2 * WINOGRAD_SHORTS)));
typedef int8_t narrow_shorts __attribute__((vector_size(WINOGRAD_SHORTS)));
typedef uint32_t words __attribute__((vector_size(4 * WINOGRAD_WORDS)));
typedef int32_t signed_words __attribute__((vector_size(4 * WINOGRAD_WORDS)));

OUNCE_INLINE void products(const int16_t *x, int64_t tile_step, const int16_t *w, int64_t depth, int32_t *sums,
                           const int tiles);
OUNCE_INLINE output_range make_output_range(const ounce_conv_params *p);
OUNCE_INLINE void store_pixels(int8_t *out, int64_t step, const int32_t *sums, const float *scale, output_range range,
                               int64_t pixels, int64_t channels);

#define PATCH WINOGRAD_PATCH
#define TILE WINOGRAD_TILE

// B times six inputs.
OUNCE_INLINE void line_of_inputs(const shorts d[PATCH], shorts v[PATCH]) {
    const shorts even = d[4] - (d[2] << 2), odd = d[3] - (d[1] << 2);
    const shorts near = d[4] - d[2], far = (d[3] - d[1]) << 1;
    v[0] = ((d[0] - d[2]) << 2) + near;
    v[1] = even + odd;
    v[2] = even - odd;
    v[3] = near + far;
    v[4] = near - far;
    v[5] = (d[5] - d[3]) - (far << 1);
}

// A times six sums.
OUNCE_INLINE void line_of_sums(const words m[PATCH], words r[TILE]) {
    const words a = m[1] + m[2], b = m[1] - m[2], c = m[3] + m[4], d = m[3] - m[4];
    r[0] = m[0] + (a << 2) + c;
    r[1] = b + b + d;
    r[2] = a + c;
    r[3] = b + d + d + m[5];
}

// The inputs of `count` neighbouring tiles of one row of them, to their 36 points. Neighbours share two columns.
static __attribute__((noinline)) void transform_row(const ounce_conv_params *p, const winograd_shape *s, const int8_t *image,
                                                    int64_t row, int64_t column, int64_t count, int16_t *to) {
    // Beyond the last row and column there is nothing to read, nor an output that would need it.
    const int8_t *from[PATCH];
    for (int64_t i = 0; i < PATCH; i++) from[i] = image + ounce_min64(row * TILE + i, p->out_h + 1) * p->in_row;
    const int64_t first = column * TILE, last = p->out_w + 1, point_step = s->point_step;
    for (int64_t c = 0; c < p->in_c; c += WINOGRAD_SHORTS) {
        shorts columns[PATCH][PATCH];
        int16_t *point = to + c;
        for (int64_t tile = 0; tile < count; tile++, point += s->tile_step) {
            OUNCE_UNROLL for (int j = 0; j < 2; j++) {
                OUNCE_UNROLL for (int i = 0; i < PATCH; i++) columns[j][i] = columns[j + TILE][i];
            }
            for (int64_t j = tile ? 2 : 0; j < PATCH; j++) {
                const int64_t at = ounce_min64(first + tile * TILE + j, last) * p->in_pixel + c;
                shorts d[PATCH];
                OUNCE_UNROLL for (int i = 0; i < PATCH; i++) {
                    d[i] = __builtin_convertvector(LOAD(narrow_shorts, from[i] + at), shorts);
                }
                line_of_inputs(d, columns[j]);
            }
            OUNCE_UNROLL for (int i = 0; i < PATCH; i++) {
                shorts d[PATCH], v[PATCH];
                OUNCE_UNROLL for (int j = 0; j < PATCH; j++) d[j] = columns[j][i];
                line_of_inputs(d, v);
                OUNCE_UNROLL for (int j = 0; j < PATCH; j++) {
                    memcpy(point + (i * PATCH + j) * point_step, &v[j], sizeof v[j]);
                }
            }
        }
    }
}

static void transform_strip(const ounce_call *call, const winograd_shape *s, int64_t first, int64_t end) {
    const ounce_conv_params *p = call->params;
    int16_t *to = call->scratch;
    for (int64_t tile = first, count; tile < end; tile += count, to += count * s->tile_step) {
        const int64_t column = tile % s->columns, row = tile / s->columns;
        const int8_t *image = (const int8_t *)call->in[0] + row / s->rows * p->in_image;
        count = ounce_min64(end - tile, s->columns - column);
        transform_row(p, s, image, row % s->rows, column, count, to);
    }
}

typedef void (*products_function)(const int16_t *x, int64_t tile_step, const int16_t *w, int64_t depth, int32_t *sums);
#define PRODUCTS(tiles)                                                                                                   \
    static __attribute__((noinline)) void products_##tiles(const int16_t *x, int64_t tile_step, const int16_t *w,         \
                                                           int64_t depth, int32_t *sums) {                                \
        products(x, tile_step, w, depth, sums, tiles);                                                                    \
    }
WINOGRAD_VARIANTS(PRODUCTS)
#undef PRODUCTS

// The products of `count` tiles by a panel, at every point.
static void multiply(const winograd_shape *s, const int16_t *x, const int16_t *w, int32_t *sums, int64_t count) {
#define PRODUCTS(tiles) products_##tiles,
    static const products_function variants[] = {WINOGRAD_VARIANTS(PRODUCTS)};
#undef PRODUCTS
    const int64_t groups = ounce_ceil_div(count, WINOGRAD_AT_ONCE), size = count / groups, longer = count % groups;
    const products_function most = variants[size - (longer == 0)], rest = variants[size - 1];
    for (int64_t point = 0; point < WINOGRAD_POINTS; point++) {
        const int16_t *from = x;
        int32_t *to = sums;
        for (int64_t group = 0; group < groups; group++) {
            const int64_t tiles = size + (group < longer);
            (group < longer ? most : rest)(from, s->tile_step, w, s->depth, to);
            from += tiles * s->tile_step;
            to += tiles * OUNCE_LANES;
        }
        x += s->point_step;
        w += s->depth * OUNCE_LANES;
        sums += WINOGRAD_BLOCK * OUNCE_LANES;
    }
}

// The convolution's sums of one tile, [4][4][16], from those of its points.
OUNCE_INLINE void transform_sums(const int32_t *sums, const char *panel, int32_t *outputs) {
    for (int64_t lane = 0; lane < OUNCE_LANES; lane += WINOGRAD_WORDS) {
        words half[TILE][PATCH];
        OUNCE_UNROLL for (int j = 0; j < PATCH; j++) {
            words m[PATCH], r[TILE];
            OUNCE_UNROLL for (int i = 0; i < PATCH; i++) {
                m[i] = LOAD(words, sums + (i * PATCH + j) * WINOGRAD_BLOCK * OUNCE_LANES + lane);
            }
            line_of_sums(m, r);
            OUNCE_UNROLL for (int i = 0; i < TILE; i++) half[i][j] = r[i];
        }
        const words start = LOAD(words, (const int32_t *)panel + lane);
        OUNCE_UNROLL for (int i = 0; i < TILE; i++) {
            static const int shift[TILE] = {3, 2, 1, 1};
            words r[TILE];
            line_of_sums(half[i], r);
            OUNCE_UNROLL for (int j = 0; j < TILE; j++) {
                const words y = (words)((signed_words)(r[j] * WINOGRAD_NINTH) >> (shift[i] + shift[j])) + start;
                memcpy(outputs + (i * TILE + j) * OUNCE_LANES + lane, &y, sizeof y);
            }
        }
    }
}

// A tile's outputs, where it lies in the image.
typedef struct {
    int8_t *out;
    int64_t height, width;
} winograd_place;
OUNCE_INLINE winograd_place place_of(const ounce_call *call, const winograd_shape *s, int64_t tile) {
    const ounce_conv_params *p = call->params;
    const int64_t x = tile % s->columns * TILE, row = tile / s->columns, y = row % s->rows * TILE;
    return (winograd_place){
        (int8_t *)call->out + row / s->rows * p->out_image + y * p->out_row + x * p->out_pixel,
        ounce_min64(TILE, p->out_h - y),
        ounce_min64(TILE, p->out_w - x),
    };
}

// Channels from `channel` to `end` of the tiles from `first` to `last`.
static void add_residuals(const ounce_call *call, const winograd_shape *s, int64_t first, int64_t last, int64_t channel,
                          int64_t end) {
    const ounce_conv_params *p = call->params;
    const intptr_t offset = residual_offset(call);
    for (int64_t tile = first; tile < last; tile++) {
        const winograd_place place = place_of(call, s, tile);
        const int one_run = p->out_pixel == end - channel;
        for (int64_t y = 0; y < place.height; y++) {
            int8_t *out = place.out + y * p->out_row + channel;
            for (int64_t x = 0; x < (one_run ? 1 : place.width); x++, out += p->out_pixel) {
                residual_s8(p, out, offset, (end - channel) * (one_run ? place.width : 1));
            }
        }
    }
}

void OUNCE_CONCAT(OUNCE_NAME(conv_s8), _winograd)(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_conv_params *p = call->params;
    const winograd_shape s = make_winograd_shape(p);
    const output_range range = make_output_range(p);
    const int16_t *inputs = call->scratch;
    int32_t *sums = (int32_t *)((char *)call->scratch + winograd_inputs_bytes(&s));
    int32_t *outputs = (int32_t *)((char *)sums + WINOGRAD_SUMS_BYTES);
    for (int64_t unit = begin, next; unit < end; unit = next) {
        const int64_t strip = unit / s.panels, from = unit % s.panels;
        next = ounce_min64(end, (strip + 1) * s.panels);
        const int64_t first = winograd_tile(&s, strip), last = winograd_tile(&s, strip + 1), to = from + next - unit;
        transform_strip(call, &s, first, last);
        for (int64_t n = from; n < to; n++) {
            const char *panel = (const char *)call->packed + (size_t)n * s.panel_bytes;
            const int64_t channel = n * OUNCE_LANES;
            for (int64_t tile = first, count; tile < last; tile += count) {
                count = ounce_ceil_div(last - tile, ounce_ceil_div(last - tile, WINOGRAD_BLOCK));
                multiply(&s, inputs + (tile - first) * s.tile_step, (const int16_t *)(panel + WINOGRAD_HEADER), sums, count);
                for (int64_t i = 0; i < count; i++) {
                    transform_sums(sums + i * OUNCE_LANES, panel, outputs);
                    const winograd_place place = place_of(call, &s, tile + i);
                    for (int64_t y = 0; y < place.height; y++) {
                        store_pixels(place.out + y * p->out_row + channel, p->out_pixel, outputs + y * TILE * OUNCE_LANES,
                                     (const float *)panel + OUNCE_LANES, range, place.width, p->out_c - channel);
                    }
                }
            }
        }
        if (p->has_residual) {
            add_residuals(call, &s, first, last, from * OUNCE_LANES, ounce_min64(p->out_c, to * OUNCE_LANES));
        }
    }
}
#undef PATCH
#undef TILE
