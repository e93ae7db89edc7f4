// Packs weights for AMX: for each block of 32 channels 32 start values and 32 scales, then for each piece of 64 inputs two
// tiles of sixteen channels, [16 groups of inputs][16 channels][4 inputs].
#include "amx_shape.h"

// A tile costs as much for one pixel as for sixteen.
bool ounce_conv_s8_amx_supports(const void *params, const ounce_conv_weights *weights) {
    (void)weights;
    const ounce_conv_params *p = params;
    return p->groups == 1 && ounce_conv_pixel_count(p) >= 8;
}

int64_t ounce_conv_s8_amx_units(const void *params) {
    const amx_shape s = make_amx_shape(params);
    return s.tiles * s.blocks;
}

size_t ounce_conv_s8_amx_size(const void *params, const ounce_conv_weights *weights) {
    (void)weights;
    const amx_shape s = make_amx_shape(params);
    return (size_t)s.blocks * s.block_bytes;
}

// A tile's gathered inputs, and room for the last copy, which is rounded up to 64 bytes.
size_t ounce_conv_s8_amx_scratch(const void *params) {
    const amx_shape s = make_amx_shape(params);
    return (size_t)(AMX_PIXELS * s.packed_segments * s.depth + AMX_DEPTH);
}

void ounce_conv_s8_amx_pack(const void *params, const ounce_conv_weights *weights, void *packed) {
    const ounce_conv_params *p = params;
    const amx_shape s = make_amx_shape(p);
    const int64_t all = s.rows * s.columns * s.length, length = all / s.packed_segments;
    memset(packed, 0, (size_t)s.blocks * s.block_bytes);
    for (int64_t n = 0; n < p->out_c; n++) {
        char *block = (char *)packed + (size_t)(n / AMX_CHANNELS) * s.block_bytes;
        const int64_t lane = n % AMX_CHANNELS;
        const int8_t *w = (const int8_t *)weights->weights + n * all;
        int32_t sum = 0;
        for (int64_t k = 0; k < all; k++) sum = ounce_wrap_add(sum, w[k]);
        const int32_t bias = weights->bias ? ((const int32_t *)weights->bias)[n] : 0;
        ((int32_t *)block)[lane] = ounce_wrap_add(bias, ounce_wrap_mul(-p->in_zero, sum));
        ((float *)block)[AMX_CHANNELS + lane] = weights->scale[n];
        int8_t *tiles = (int8_t *)block + AMX_BLOCK_HEADER;
        for (int64_t segment = 0; segment < s.packed_segments; segment++) {
            for (int64_t k = 0; k < length; k++) {
                const int64_t piece = segment * s.pieces + k / AMX_DEPTH, inside = k % AMX_DEPTH;
                int8_t *tile = tiles + (piece * 2 + lane / 16) * 1024;
                tile[inside / 4 * 64 + lane % 16 * 4 + inside % 4] = w[segment * length + k];
            }
        }
    }
}
