#include "kernels.h"

#define KERNEL(name, family, isa, how) {#name, OUNCE_##family, OUNCE_ISA_##isa, HOW_##how, ounce_##name},
static const ounce_kernel kernels[] = {
#include "kernel_list.h"
};
#undef KERNEL

const ounce_kernel *ounce_kernels(size_t *count) {
    *count = sizeof kernels / sizeof kernels[0];
    return kernels;
}

const char *ounce_family_name(ounce_family family) {
    static const char *const names[OUNCE_FAMILY_COUNT] = {
        "conv_f32",   "conv_s8",  "dwconv_f32", "dwconv_s8",   "maxpool_f32", "maxpool_s8", "avgpool_f32", "avgpool_s8",
        "binary_f32", "add_s8",   "unary_f32",  "lut_s8",      "softmax_f32", "softmax_s8", "quantize",    "dequantize",
        "copy",       "matmul_f32", "layernorm_f32", "attention_f32", "conv_s8f32", "recurrent_f32",
        "resize_f32", "resize_s8",
        "matmul_s8",  "attention_s8",
    };
    return (unsigned)family < OUNCE_FAMILY_COUNT ? names[family] : "unknown";
}
