// Finds and packs the non-zero blocks of convolution weights, and the portable kernel that walks them.
#include "lanes.h"

// The weights of a block; places past the segment's end hold none.
static int32_t block_s8(const int8_t *w, const sparse_shape *s, int64_t row) {
    const int64_t segment = row / s->rows, at = row % s->rows * SPARSE_BLOCK;
    int8_t block[SPARSE_BLOCK] = {0};
    for (int64_t i = 0; i < SPARSE_BLOCK && at + i < s->conv.length; i++) block[i] = w[segment * s->conv.length + at + i];
    return LOAD(int32_t, block);
}

static int32_t block_f32(const float *w, int64_t row) { return (int32_t)ounce_bits(w[row]); }

// Blocks that lie one behind another: a loop that the compiler makes fast, for every layer is looked at when it is loaded.
static int64_t count_words(const void *weights, int64_t words) {
    int64_t count = 0;
    for (int64_t i = 0; i < words; i++) count += LOAD(int32_t, (const char *)weights + 4 * i) != 0;
    return count;
}

// Of every `step`th output channel; stops counting at `limit`.
static int64_t count_blocks(const ounce_conv_params *p, const void *weights, int is_float, int64_t step, int64_t limit) {
    const sparse_shape s = make_sparse_shape(p, is_float ? 1 : SPARSE_BLOCK);
    const int64_t length = s.conv.rows * s.conv.columns * s.conv.length;
    int64_t count = 0;
    for (int64_t n = 0; n < p->out_c && count < limit; n += step) {
        if (!is_float && s.conv.length % SPARSE_BLOCK == 0) {
            count += count_words((const int8_t *)weights + n * length, s.all);
            continue;
        }
        for (int64_t row = 0; row < s.all; row++) {
            count += is_float ? block_f32((const float *)weights + n * length, row) != 0
                              : block_s8((const int8_t *)weights + n * length, &s, row) != 0;
        }
    }
    return count;
}

// Sparse enough to be worth a measurement: at least 40 % of the blocks are zero, and a vector of pixels to meet them.
static bool is_sparse(const void *params, const ounce_conv_weights *weights, int is_float) {
    const ounce_conv_params *p = params;
    if (p->groups != 1 || !weights || !weights->weights) return false;
    if (ounce_conv_pixel_count(p) < OUNCE_LANES / 2) return false;
    const int64_t blocks = make_sparse_shape(p, is_float ? 1 : SPARSE_BLOCK).all * p->out_c;
    if (blocks > INT32_MAX) return false;
    const int64_t limit = blocks * 3 / 5 + 1;
    // Where hardly a block of some channels is zero, the others are not looked at.
    const int64_t step = 16, some = blocks / p->out_c * ounce_ceil_div(p->out_c, step);
    if (count_blocks(p, weights->weights, is_float, step, INT64_MAX) > some - some / 16) return false;
    return count_blocks(p, weights->weights, is_float, 1, limit) < limit;
}
bool ounce_conv_s8_sparse_supports(const void *params, const ounce_conv_weights *weights) {
    return is_sparse(params, weights, 0);
}
bool ounce_conv_f32_sparse_supports(const void *params, const ounce_conv_weights *weights) {
    return is_sparse(params, weights, 1);
}

static size_t sparse_size(const ounce_conv_params *p, const ounce_conv_weights *weights, int is_float) {
    return ((size_t)p->out_c + 1) * sizeof(sparse_head) +
           (size_t)count_blocks(p, weights->weights, is_float, 1, INT64_MAX) * sizeof(sparse_block);
}
size_t ounce_conv_s8_sparse_size(const void *params, const ounce_conv_weights *weights) {
    return sparse_size(params, weights, 0);
}
size_t ounce_conv_f32_sparse_size(const void *params, const ounce_conv_weights *weights) {
    return sparse_size(params, weights, 1);
}

// `offset` is what the kernel adds to every input element.
static void pack_s8(const ounce_conv_params *p, const ounce_conv_weights *weights, int32_t offset, void *packed) {
    const sparse_shape s = make_sparse_shape(p, SPARSE_BLOCK);
    const int64_t length = s.conv.rows * s.conv.columns * s.conv.length;
    sparse_head *head = packed;
    sparse_block *blocks = (sparse_block *)(head + p->out_c + 1);
    uint32_t count = 0;
    for (int64_t n = 0; n < p->out_c; n++) {
        const int8_t *w = (const int8_t *)weights->weights + n * length;
        int32_t sum = 0;
        for (int64_t k = 0; k < length; k++) sum = ounce_wrap_add(sum, w[k]);
        const int32_t bias = weights->bias ? ((const int32_t *)weights->bias)[n] : 0;
        const int32_t start = ounce_wrap_add(bias, ounce_wrap_mul(-(p->in_zero + offset), sum));
        head[n] = (sparse_head){start, weights->scale[n], count, 0};
        for (int64_t row = 0; row < s.all; row++) {
            const int32_t block = block_s8(w, &s, row);
            if (block != 0) blocks[count++] = (sparse_block){(uint32_t)row, block};
        }
    }
    head[p->out_c] = (sparse_head){0, 0, count, 0};
}
void ounce_conv_s8_sparse_pack(const void *params, const ounce_conv_weights *weights, void *packed) {
    pack_s8(params, weights, 0, packed);
}
void ounce_conv_s8_sparse_unsigned_pack(const void *params, const ounce_conv_weights *weights, void *packed) {
    pack_s8(params, weights, 128, packed);
}

// A weight of -0 is kept: its products may turn the sign of a zero sum.
void ounce_conv_f32_sparse_pack(const void *params, const ounce_conv_weights *weights, void *packed) {
    const ounce_conv_params *p = params;
    const sparse_shape s = make_sparse_shape(p, 1);
    sparse_head *head = packed;
    sparse_block *blocks = (sparse_block *)(head + p->out_c + 1);
    uint32_t count = 0;
    for (int64_t n = 0; n < p->out_c; n++) {
        const float *w = (const float *)weights->weights + n * s.all;
        const float bias = weights->bias ? ((const float *)weights->bias)[n] : 0;
        head[n] = (sparse_head){(int32_t)ounce_bits(bias), 0, count, 0};
        for (int64_t row = 0; row < s.all; row++) {
            const int32_t block = block_f32(w, row);
            if (block != 0) blocks[count++] = (sparse_block){(uint32_t)row, block};
        }
    }
    head[p->out_c] = (sparse_head){0, 0, count, 0};
}

int64_t ounce_conv_sparse_units(const void *params) {
    const int64_t pixels = ounce_conv_pixel_count(params);
    return ounce_ceil_div(pixels, sparse_unit_pixels(pixels));
}

// The rows of a tile, of `row` bytes for each vector of pixels.
static size_t rows_scratch(const ounce_conv_params *p, int64_t block, size_t row) {
    const int64_t pixels = sparse_unit_pixels(ounce_conv_pixel_count(p));
    return (size_t)(make_sparse_shape(p, block).all * (pixels / OUNCE_LANES)) * row;
}
size_t ounce_conv_s8_sparse_bytes_scratch(const void *params) { return rows_scratch(params, SPARSE_BLOCK, 64); }
size_t ounce_conv_s8_sparse_words_scratch(const void *params) { return rows_scratch(params, SPARSE_BLOCK, 128); }
size_t ounce_conv_f32_sparse_scratch(const void *params) { return rows_scratch(params, 1, 64); }
size_t ounce_conv_s8_sparse_offsets_scratch(const void *params) {
    return (size_t)make_sparse_shape(params, SPARSE_BLOCK).all * sizeof(int64_t);
}

void ounce_conv_s8_scalar_sparse(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_conv_params *p = call->params;
    const sparse_shape s = make_sparse_shape(p, SPARSE_BLOCK);
    const sparse_head *head = call->packed;
    const sparse_block *blocks = (const sparse_block *)(head + p->out_c + 1);
    int64_t *offsets = call->scratch;
    for (int64_t row = 0; row < s.all; row++) {
        const int64_t segment = row / s.rows;
        offsets[row] = segment / s.conv.columns * s.conv.row_step + segment % s.conv.columns * s.conv.column_step +
                       row % s.rows * SPARSE_BLOCK;
    }
    const ounce_range range = ounce_make_range(p->out_min, p->out_max, p->out_zero);
    const int64_t unit = sparse_unit_pixels(s.conv.pixels);
    for (int64_t pixel = begin * unit; pixel < ounce_min64(end * unit, s.conv.pixels); pixel++) {
        int64_t in_offset, out_offset;
        ounce_conv_offsets(p, pixel, s.conv.pixels, 1, &in_offset, &out_offset);
        const int8_t *in = (const int8_t *)call->in[0] + in_offset;
        for (int64_t n = 0; n < p->out_c; n++) {
            uint32_t acc = (uint32_t)head[n].start;
            for (uint32_t b = head[n].first; b < head[n + 1].first; b++) {
                const int8_t *x = in + offsets[blocks[b].row], *w = (const int8_t *)&blocks[b].weights;
                for (int i = 0; i < SPARSE_BLOCK; i++) acc += (uint32_t)(x[i] * w[i]);
            }
            int8_t *out = (int8_t *)call->out + out_offset + n;
            *out = ounce_requantise((int32_t)acc, head[n].scale, range);
            if (p->has_residual) *out = add_one_s8(&p->residual, *out, *RESIDUAL(out, residual_offset(call)));
        }
    }
}
