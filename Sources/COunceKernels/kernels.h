// Declarations for the kernel table: every run function, and what kernels of a family share.
#ifndef OUNCE_KERNELS_INTERNAL_H
#define OUNCE_KERNELS_INTERNAL_H

#include "common.h"

#define KERNEL(name, family, isa, how) void ounce_##name(const ounce_call *call, int64_t begin, int64_t end);
#include "kernel_list.h"
#undef KERNEL

// HOW_<how> of the kernel list: supports, packed_size, pack, pack_channels (16: a panel), scratch_size, units.
#define HOW_CONV_F32_PLAIN NULL, ounce_conv_f32_plain_size, ounce_conv_f32_plain_pack, 0, NULL, ounce_conv_pixels
#define HOW_CONV_S8_PLAIN NULL, ounce_conv_s8_plain_size, ounce_conv_s8_plain_pack, 0, NULL, ounce_conv_pixels
#define HOW_CONV_F32_CHANNELS \
    NULL, ounce_conv_f32_channels_size, ounce_conv_f32_channels_pack, 0, NULL, ounce_conv_fours
#define HOW_CONV_S8_CHANNELS NULL, ounce_conv_s8_channels_size, ounce_conv_s8_channels_pack, 0, NULL, ounce_conv_fours
#define HOW_CONV_F32_TILE \
    ounce_conv_tile_supports, ounce_conv_f32_tile_size, ounce_conv_f32_tile_pack, 16, NULL, ounce_conv_tile_units
#define HOW_CONV_S8_DOT \
    ounce_conv_tile_supports, ounce_conv_s8_dot_size, ounce_conv_s8_dot_pack, 16, NULL, ounce_conv_tile_units
#define HOW_CONV_S8_DOT_WIDE NULL, ounce_conv_s8_dot_wide_size, ounce_conv_s8_dot_wide_pack, 16, NULL, ounce_conv_s8_dot_wide_units
#define HOW_CONV_S8_DOT_HALF NULL, ounce_conv_s8_dot_half_size, ounce_conv_s8_dot_half_pack, 16, NULL, ounce_conv_s8_dot_half_units
#define HOW_CONV_F32_WIDE NULL, ounce_conv_f32_wide_size, ounce_conv_f32_wide_pack, 16, NULL, ounce_conv_f32_wide_units
#define HOW_CONV_F32_HALF NULL, ounce_conv_f32_half_size, ounce_conv_f32_half_pack, 16, NULL, ounce_conv_f32_half_units
#define HOW_CONV_S8_PAIRS \
    NULL, ounce_conv_s8_pairs_size, ounce_conv_s8_pairs_pack, 16, ounce_conv_s8_pairs_scratch, ounce_conv_s8_pairs_units
#define HOW_CONV_S8_DOT8 \
    ounce_conv_tile_supports, ounce_conv_s8_dot8_size, ounce_conv_s8_dot8_pack, 16, NULL, ounce_conv_tile_units
#define HOW_CONV_S8_AMX                                                                    \
    ounce_conv_s8_amx_supports, ounce_conv_s8_amx_size, ounce_conv_s8_amx_pack, 32, \
        ounce_conv_s8_amx_scratch, ounce_conv_s8_amx_units
#define HOW_CONV_S8_SINGLE \
    ounce_conv_tile_supports, ounce_conv_s8_single_size, ounce_conv_s8_single_pack, 16, NULL, ounce_conv_tile_units
#define HOW_CONV_S8_SPARSE_PLAIN                                                                           \
    ounce_conv_s8_sparse_supports, ounce_conv_s8_sparse_size, ounce_conv_s8_sparse_pack, 0, \
        ounce_conv_s8_sparse_offsets_scratch, ounce_conv_sparse_units
#define HOW_CONV_S8_SPARSE                                                                                \
    ounce_conv_s8_sparse_supports, ounce_conv_s8_sparse_size, ounce_conv_s8_sparse_pack, 0, \
        ounce_conv_s8_sparse_bytes_scratch, ounce_conv_sparse_units
#define HOW_CONV_S8_SPARSE_UNSIGNED                                                                                \
    ounce_conv_s8_sparse_supports, ounce_conv_s8_sparse_size, ounce_conv_s8_sparse_unsigned_pack, 0, \
        ounce_conv_s8_sparse_bytes_scratch, ounce_conv_sparse_units
#define HOW_CONV_S8_SPARSE_WORDS                                                                          \
    ounce_conv_s8_sparse_supports, ounce_conv_s8_sparse_size, ounce_conv_s8_sparse_pack, 0, \
        ounce_conv_s8_sparse_words_scratch, ounce_conv_sparse_units
#define HOW_CONV_F32_SPARSE                                                                                  \
    ounce_conv_f32_sparse_supports, ounce_conv_f32_sparse_size, ounce_conv_f32_sparse_pack, 0, \
        ounce_conv_f32_sparse_scratch, ounce_conv_sparse_units
#define HOW_CONV_S8_XNOR_PLAIN \
    ounce_conv_s8_xnor_supports, ounce_conv_s8_xnor_plain_size, ounce_conv_s8_xnor_plain_pack, 0, \
        ounce_conv_s8_xnor_plain_scratch, ounce_conv_pixels
#define HOW_CONV_S8_XNOR_WORDS \
    ounce_conv_s8_xnor_supports, ounce_conv_s8_xnor_words_size, ounce_conv_s8_xnor_words_pack, 0, \
        ounce_conv_s8_xnor_bits_scratch, ounce_conv_s8_xnor_words_units
#define HOW_CONV_S8_XNOR_BYTES \
    ounce_conv_s8_xnor_supports, ounce_conv_s8_xnor_bytes_size, ounce_conv_s8_xnor_bytes_pack, 0, \
        ounce_conv_s8_xnor_bits_scratch, ounce_conv_tile_units
#define HOW_CONV_S8_XNOR_TABLE \
    ounce_conv_s8_xnor_supports, ounce_conv_s8_xnor_table_size, ounce_conv_s8_xnor_table_pack, 0, \
        ounce_conv_s8_xnor_table_scratch, ounce_conv_tile_units
#define HOW_CONV_S8_W4 \
    ounce_conv_s8_w4_supports, ounce_conv_s8_w4_size, ounce_conv_s8_w4_pack, 16, NULL, ounce_conv_tile_units
#define HOW_CONV_S8_W4_UNSIGNED \
    ounce_conv_s8_w4_supports, ounce_conv_s8_w4_size, ounce_conv_s8_w4_unsigned_pack, 16, NULL, ounce_conv_tile_units
#define HOW_CONV_S8_W4_BIASED \
    ounce_conv_s8_w4_supports, ounce_conv_s8_w4_size, ounce_conv_s8_w4_biased_pack, 16, NULL, ounce_conv_tile_units
#define HOW_CONV_S8_W2 \
    ounce_conv_s8_w2_supports, ounce_conv_s8_w2_size, ounce_conv_s8_w2_pack, 16, NULL, ounce_conv_tile_units
#define HOW_CONV_S8_W2_UNSIGNED \
    ounce_conv_s8_w2_supports, ounce_conv_s8_w2_size, ounce_conv_s8_w2_unsigned_pack, 16, NULL, ounce_conv_tile_units
#define HOW_CONV_S8_W2_BIASED \
    ounce_conv_s8_w2_supports, ounce_conv_s8_w2_size, ounce_conv_s8_w2_biased_pack, 16, NULL, ounce_conv_tile_units
#define HOW_CONV_S8_WINOGRAD_PAIRS                                                                                \
    ounce_conv_s8_winograd_supports, ounce_conv_s8_winograd_size, ounce_conv_s8_winograd_pairs_pack, 16, \
        ounce_conv_s8_winograd_scratch, ounce_conv_s8_winograd_units
#define HOW_CONV_S8_WINOGRAD_DOT                                                                                \
    ounce_conv_s8_winograd_dot_supports, ounce_conv_s8_winograd_size, ounce_conv_s8_winograd_pairs_pack, 16, \
        ounce_conv_s8_winograd_scratch, ounce_conv_s8_winograd_units
#define HOW_CONV_S8_WINOGRAD_SINGLE                                                                                \
    ounce_conv_s8_winograd_supports, ounce_conv_s8_winograd_size, ounce_conv_s8_winograd_single_pack, 16, \
        ounce_conv_s8_winograd_scratch, ounce_conv_s8_winograd_units
#define HOW_DWCONV_F32 NULL, ounce_dwconv_f32_size, ounce_dwconv_f32_pack, 0, NULL, ounce_dwconv_row_units
#define HOW_DWCONV_S8_DOT_UNSIGNED \
    ounce_dwconv_s8_supports, ounce_dwconv_s8_dot_unsigned_size, ounce_dwconv_s8_dot_unsigned_pack, 0, \
        ounce_dwconv_s8_dot_unsigned_scratch, ounce_dwconv_s8_dot_unsigned_units
#define HOW_DWCONV_S8_DOT_WIDE \
    ounce_dwconv_s8_supports, ounce_dwconv_s8_dot_wide_size, ounce_dwconv_s8_dot_wide_pack, 0, \
        ounce_dwconv_s8_dot_wide_scratch, ounce_dwconv_s8_dot_wide_units
#define HOW_DWCONV_S8_DOT \
    ounce_dwconv_s8_supports, ounce_dwconv_s8_dot_size, ounce_dwconv_s8_dot_pack, 0, \
        ounce_dwconv_s8_rows_scratch, ounce_dwconv_s8_rows_units
#define HOW_DWCONV_S8_PAIRS \
    ounce_dwconv_s8_supports, ounce_dwconv_s8_pairs_size, ounce_dwconv_s8_pairs_pack, 0, \
        ounce_dwconv_s8_pairs_scratch, ounce_dwconv_s8_pairs_units
#define HOW_DWCONV_S8_TAPS                                                             \
    ounce_dwconv_s8_taps_supports, ounce_dwconv_s8_taps_size, ounce_dwconv_s8_taps_pack, 0, \
        ounce_dwconv_s8_taps_scratch, ounce_dwconv_tile_units
#define HOW_CONV_S8F32 \
    ounce_conv_s8f32_supports, ounce_conv_s8f32_size, ounce_conv_s8f32_pack, 16, NULL, ounce_conv_s8f32_units
#define HOW_CONV_S8F32_UNSIGNED \
    ounce_conv_s8f32_supports, ounce_conv_s8f32_size, ounce_conv_s8f32_unsigned_pack, 16, NULL, ounce_conv_s8f32_units
#define HOW_RECURRENT NULL, ounce_recurrent_size, ounce_recurrent_pack, 0, ounce_recurrent_scratch, ounce_recurrent_units
#define HOW_POOL NULL, NULL, NULL, 0, NULL, ounce_pool_units
#define HOW_BINARY NULL, NULL, NULL, 0, NULL, ounce_binary_units
#define HOW_ADD_S8 NULL, NULL, NULL, 0, NULL, ounce_add_s8_units
#define HOW_UNARY NULL, NULL, NULL, 0, NULL, ounce_unary_units
#define HOW_LUT NULL, NULL, NULL, 0, NULL, ounce_lut_units
#define HOW_SOFTMAX NULL, NULL, NULL, 0, ounce_softmax_scratch, ounce_softmax_units
#define HOW_QUANTIZE NULL, NULL, NULL, 0, NULL, ounce_quantize_units
#define HOW_COPY NULL, NULL, NULL, 0, NULL, ounce_copy_units
#define HOW_MATMUL NULL, NULL, NULL, 0, NULL, ounce_matmul_units
#define HOW_MATMUL_S8 NULL, NULL, NULL, 0, ounce_matmul_s8_scratch, ounce_matmul_s8_units
#define HOW_ATTENTION_S8 NULL, NULL, NULL, 0, ounce_attention_s8_scratch, ounce_attention_s8_units
#define HOW_ATTENTION NULL, NULL, NULL, 0, ounce_attention_scratch, ounce_attention_units
#define HOW_RESIZE NULL, NULL, NULL, 0, ounce_resize_scratch, ounce_resize_units
#define HOW_LAYERNORM NULL, NULL, NULL, 0, NULL, ounce_layernorm_units

size_t ounce_conv_f32_plain_size(const void *params, const ounce_conv_weights *weights);
void ounce_conv_f32_plain_pack(const void *params, const ounce_conv_weights *weights, void *packed);
size_t ounce_conv_s8_plain_size(const void *params, const ounce_conv_weights *weights);
void ounce_conv_s8_plain_pack(const void *params, const ounce_conv_weights *weights, void *packed);
int64_t ounce_conv_pixels(const void *params);
size_t ounce_conv_f32_channels_size(const void *params, const ounce_conv_weights *weights);
void ounce_conv_f32_channels_pack(const void *params, const ounce_conv_weights *weights, void *packed);
size_t ounce_conv_s8_channels_size(const void *params, const ounce_conv_weights *weights);
void ounce_conv_s8_channels_pack(const void *params, const ounce_conv_weights *weights, void *packed);
int64_t ounce_conv_fours(const void *params);
bool ounce_conv_tile_supports(const void *params, const ounce_conv_weights *weights);
size_t ounce_conv_f32_tile_size(const void *params, const ounce_conv_weights *weights);
void ounce_conv_f32_tile_pack(const void *params, const ounce_conv_weights *weights, void *packed);
size_t ounce_conv_s8_dot_size(const void *params, const ounce_conv_weights *weights);
void ounce_conv_s8_dot_pack(const void *params, const ounce_conv_weights *weights, void *packed);
size_t ounce_conv_s8_dot_wide_size(const void *params, const ounce_conv_weights *weights);
void ounce_conv_s8_dot_wide_pack(const void *params, const ounce_conv_weights *weights, void *packed);
int64_t ounce_conv_s8_dot_wide_units(const void *params);
size_t ounce_conv_s8_dot_half_size(const void *params, const ounce_conv_weights *weights);
void ounce_conv_s8_dot_half_pack(const void *params, const ounce_conv_weights *weights, void *packed);
int64_t ounce_conv_s8_dot_half_units(const void *params);
size_t ounce_conv_f32_wide_size(const void *params, const ounce_conv_weights *weights);
void ounce_conv_f32_wide_pack(const void *params, const ounce_conv_weights *weights, void *packed);
int64_t ounce_conv_f32_wide_units(const void *params);
size_t ounce_conv_f32_half_size(const void *params, const ounce_conv_weights *weights);
void ounce_conv_f32_half_pack(const void *params, const ounce_conv_weights *weights, void *packed);
int64_t ounce_conv_f32_half_units(const void *params);
size_t ounce_conv_s8_dot8_size(const void *params, const ounce_conv_weights *weights);
void ounce_conv_s8_dot8_pack(const void *params, const ounce_conv_weights *weights, void *packed);
size_t ounce_conv_s8_pairs_size(const void *params, const ounce_conv_weights *weights);
void ounce_conv_s8_pairs_pack(const void *params, const ounce_conv_weights *weights, void *packed);
size_t ounce_conv_s8_single_size(const void *params, const ounce_conv_weights *weights);
void ounce_conv_s8_single_pack(const void *params, const ounce_conv_weights *weights, void *packed);
size_t ounce_conv_s8_pairs_scratch(const void *params);
int64_t ounce_conv_s8_pairs_units(const void *params);
int64_t ounce_conv_tile_units(const void *params);
bool ounce_conv_s8_amx_supports(const void *params, const ounce_conv_weights *weights);
size_t ounce_conv_s8_amx_size(const void *params, const ounce_conv_weights *weights);
size_t ounce_conv_s8_amx_scratch(const void *params);
void ounce_conv_s8_amx_pack(const void *params, const ounce_conv_weights *weights, void *packed);
int64_t ounce_conv_s8_amx_units(const void *params);
bool ounce_conv_s8_sparse_supports(const void *params, const ounce_conv_weights *weights);
size_t ounce_conv_s8_sparse_size(const void *params, const ounce_conv_weights *weights);
void ounce_conv_s8_sparse_pack(const void *params, const ounce_conv_weights *weights, void *packed);
void ounce_conv_s8_sparse_unsigned_pack(const void *params, const ounce_conv_weights *weights, void *packed);
size_t ounce_conv_s8_sparse_bytes_scratch(const void *params);
size_t ounce_conv_s8_sparse_words_scratch(const void *params);
size_t ounce_conv_s8_sparse_offsets_scratch(const void *params);
bool ounce_conv_f32_sparse_supports(const void *params, const ounce_conv_weights *weights);
size_t ounce_conv_f32_sparse_size(const void *params, const ounce_conv_weights *weights);
void ounce_conv_f32_sparse_pack(const void *params, const ounce_conv_weights *weights, void *packed);
size_t ounce_conv_f32_sparse_scratch(const void *params);
int64_t ounce_conv_sparse_units(const void *params);
bool ounce_conv_s8_xnor_supports(const void *params, const ounce_conv_weights *weights);
size_t ounce_conv_s8_xnor_plain_size(const void *params, const ounce_conv_weights *weights);
void ounce_conv_s8_xnor_plain_pack(const void *params, const ounce_conv_weights *weights, void *packed);
size_t ounce_conv_s8_xnor_words_size(const void *params, const ounce_conv_weights *weights);
void ounce_conv_s8_xnor_words_pack(const void *params, const ounce_conv_weights *weights, void *packed);
size_t ounce_conv_s8_xnor_bytes_size(const void *params, const ounce_conv_weights *weights);
void ounce_conv_s8_xnor_bytes_pack(const void *params, const ounce_conv_weights *weights, void *packed);
size_t ounce_conv_s8_xnor_table_size(const void *params, const ounce_conv_weights *weights);
void ounce_conv_s8_xnor_table_pack(const void *params, const ounce_conv_weights *weights, void *packed);
int64_t ounce_conv_s8_xnor_words_units(const void *params);
size_t ounce_conv_s8_xnor_plain_scratch(const void *params);
size_t ounce_conv_s8_xnor_bits_scratch(const void *params);
size_t ounce_conv_s8_xnor_table_scratch(const void *params);
void ounce_conv_s8_w4_pack(const void *params, const ounce_conv_weights *weights, void *packed);
void ounce_conv_s8_w4_unsigned_pack(const void *params, const ounce_conv_weights *weights, void *packed);
void ounce_conv_s8_w4_biased_pack(const void *params, const ounce_conv_weights *weights, void *packed);
bool ounce_conv_s8_w4_supports(const void *params, const ounce_conv_weights *weights);
size_t ounce_conv_s8_w4_size(const void *params, const ounce_conv_weights *weights);
void ounce_conv_s8_w2_pack(const void *params, const ounce_conv_weights *weights, void *packed);
void ounce_conv_s8_w2_unsigned_pack(const void *params, const ounce_conv_weights *weights, void *packed);
void ounce_conv_s8_w2_biased_pack(const void *params, const ounce_conv_weights *weights, void *packed);
bool ounce_conv_s8_w2_supports(const void *params, const ounce_conv_weights *weights);
size_t ounce_conv_s8_w2_size(const void *params, const ounce_conv_weights *weights);
bool ounce_conv_s8_winograd_supports(const void *params, const ounce_conv_weights *weights);
bool ounce_conv_s8_winograd_dot_supports(const void *params, const ounce_conv_weights *weights);
size_t ounce_conv_s8_winograd_size(const void *params, const ounce_conv_weights *weights);
void ounce_conv_s8_winograd_pairs_pack(const void *params, const ounce_conv_weights *weights, void *packed);
void ounce_conv_s8_winograd_single_pack(const void *params, const ounce_conv_weights *weights, void *packed);
size_t ounce_conv_s8_winograd_scratch(const void *params);
int64_t ounce_conv_s8_winograd_units(const void *params);
size_t ounce_dwconv_f32_size(const void *params, const ounce_conv_weights *weights);
void ounce_dwconv_f32_pack(const void *params, const ounce_conv_weights *weights, void *packed);
int64_t ounce_dwconv_tile_units(const void *params);
int64_t ounce_dwconv_row_units(const void *params);
bool ounce_dwconv_s8_supports(const void *params, const ounce_conv_weights *weights);
size_t ounce_dwconv_s8_dot_unsigned_size(const void *params, const ounce_conv_weights *weights);
size_t ounce_dwconv_s8_dot_unsigned_scratch(const void *params);
int64_t ounce_dwconv_s8_dot_unsigned_units(const void *params);
void ounce_dwconv_s8_dot_unsigned_pack(const void *params, const ounce_conv_weights *weights, void *packed);
size_t ounce_dwconv_s8_dot_wide_size(const void *params, const ounce_conv_weights *weights);
size_t ounce_dwconv_s8_dot_wide_scratch(const void *params);
int64_t ounce_dwconv_s8_dot_wide_units(const void *params);
void ounce_dwconv_s8_dot_wide_pack(const void *params, const ounce_conv_weights *weights, void *packed);
size_t ounce_dwconv_s8_dot_size(const void *params, const ounce_conv_weights *weights);
size_t ounce_dwconv_s8_rows_scratch(const void *params);
int64_t ounce_dwconv_s8_rows_units(const void *params);
void ounce_dwconv_s8_dot_pack(const void *params, const ounce_conv_weights *weights, void *packed);
size_t ounce_dwconv_s8_pairs_size(const void *params, const ounce_conv_weights *weights);
size_t ounce_dwconv_s8_pairs_scratch(const void *params);
int64_t ounce_dwconv_s8_pairs_units(const void *params);
void ounce_dwconv_s8_pairs_pack(const void *params, const ounce_conv_weights *weights, void *packed);
bool ounce_dwconv_s8_taps_supports(const void *params, const ounce_conv_weights *weights);
size_t ounce_dwconv_s8_taps_size(const void *params, const ounce_conv_weights *weights);
size_t ounce_dwconv_s8_taps_scratch(const void *params);
void ounce_dwconv_s8_taps_pack(const void *params, const ounce_conv_weights *weights, void *packed);
bool ounce_conv_s8f32_supports(const void *params, const ounce_conv_weights *weights);
size_t ounce_conv_s8f32_size(const void *params, const ounce_conv_weights *weights);
void ounce_conv_s8f32_pack(const void *params, const ounce_conv_weights *weights, void *packed);
void ounce_conv_s8f32_unsigned_pack(const void *params, const ounce_conv_weights *weights, void *packed);
int64_t ounce_conv_s8f32_units(const void *params);
size_t ounce_recurrent_size(const void *params, const ounce_conv_weights *weights);
void ounce_recurrent_pack(const void *params, const ounce_conv_weights *weights, void *packed);
size_t ounce_recurrent_scratch(const void *params);
int64_t ounce_recurrent_units(const void *params);
int64_t ounce_pool_units(const void *params);
int64_t ounce_binary_units(const void *params);
int64_t ounce_add_s8_units(const void *params);
int64_t ounce_unary_units(const void *params);
int64_t ounce_lut_units(const void *params);
size_t ounce_softmax_scratch(const void *params);
int64_t ounce_softmax_units(const void *params);
int64_t ounce_quantize_units(const void *params);
int64_t ounce_copy_units(const void *params);
int64_t ounce_matmul_units(const void *params);
size_t ounce_matmul_s8_scratch(const void *params);
int64_t ounce_matmul_s8_units(const void *params);
size_t ounce_attention_s8_scratch(const void *params);
int64_t ounce_attention_s8_units(const void *params);
size_t ounce_attention_scratch(const void *params);
int64_t ounce_attention_units(const void *params);
size_t ounce_resize_scratch(const void *params);
int64_t ounce_resize_units(const void *params);
int64_t ounce_layernorm_units(const void *params);

#endif
