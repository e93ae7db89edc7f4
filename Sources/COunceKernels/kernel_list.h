// The one list of kernels. KERNEL(name, FAMILY, ISA, how): `ounce_<name>` is its run function; `how` names supports,
// packed_size, pack, scratch_size and units (shared by the kernels of a family that pack alike). Within a family the
// later entry is preferred where nothing has been measured.
KERNEL(conv_f32_scalar, CONV_F32, SCALAR, CONV_F32_PLAIN)
KERNEL(conv_s8_scalar, CONV_S8, SCALAR, CONV_S8_PLAIN)
KERNEL(dwconv_f32_scalar, DWCONV_F32, SCALAR, CONV_F32_PLAIN)
KERNEL(dwconv_s8_scalar, DWCONV_S8, SCALAR, CONV_S8_PLAIN)
KERNEL(maxpool_f32_scalar, MAXPOOL_F32, SCALAR, POOL)
KERNEL(maxpool_s8_scalar, MAXPOOL_S8, SCALAR, POOL)
KERNEL(avgpool_f32_scalar, AVGPOOL_F32, SCALAR, POOL)
KERNEL(avgpool_s8_scalar, AVGPOOL_S8, SCALAR, POOL)
KERNEL(binary_f32_scalar, BINARY_F32, SCALAR, BINARY)
KERNEL(add_s8_scalar, ADD_S8, SCALAR, ADD_S8)
KERNEL(unary_f32_scalar, UNARY_F32, SCALAR, UNARY)
KERNEL(lut_s8_scalar, LUT_S8, SCALAR, LUT)
KERNEL(softmax_f32_scalar, SOFTMAX_F32, SCALAR, SOFTMAX)
KERNEL(softmax_s8_scalar, SOFTMAX_S8, SCALAR, SOFTMAX)
KERNEL(quantize_scalar, QUANTIZE, SCALAR, QUANTIZE)
KERNEL(dequantize_scalar, DEQUANTIZE, SCALAR, QUANTIZE)
KERNEL(copy_scalar, COPY, SCALAR, COPY)

#if defined(__x86_64__)
KERNEL(conv_f32_avx2, CONV_F32, AVX2, CONV_F32_TILE)
KERNEL(conv_f32_avx512vnni, CONV_F32, AVX512VNNI, CONV_F32_TILE)
KERNEL(conv_s8_avx2, CONV_S8, AVX2, CONV_S8_PAIRS)
KERNEL(conv_s8_avxvnni, CONV_S8, AVXVNNI, CONV_S8_DOT_UNSIGNED)
KERNEL(conv_s8_avx512vnni, CONV_S8, AVX512VNNI, CONV_S8_DOT_UNSIGNED)
KERNEL(dwconv_f32_avx2, DWCONV_F32, AVX2, DWCONV_F32)
KERNEL(dwconv_f32_avx512vnni, DWCONV_F32, AVX512VNNI, DWCONV_F32)
#endif

#if defined(__aarch64__)
KERNEL(conv_f32_neon, CONV_F32, NEON, CONV_F32_TILE)
KERNEL(conv_s8_neon, CONV_S8, NEON, CONV_S8_SINGLE)
KERNEL(conv_s8_neondot, CONV_S8, NEONDOT, CONV_S8_DOT)
KERNEL(dwconv_f32_neon, DWCONV_F32, NEON, DWCONV_F32)
#endif
