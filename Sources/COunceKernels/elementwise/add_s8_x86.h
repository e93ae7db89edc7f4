// Addition of int8 with products of pairs. A multiplier of 22 bits is 256 * high + low, low being -128...127. With both
// operands moved up by 8 bits the pairs of high parts give a * 256 * high + b * 256 * high at once, and those of low parts
// 256 times what is missing. Saturating packs do the clamp to int8; unpacking and packing stay within 128 bits, so that
// elements come out in order.
//
#if defined(ADD_S8_AVX512)
typedef __m512i add_vector;
#define ADD_SPLAT32(x) _mm512_set1_epi32(x)
#define ADD_SPLAT16(x) _mm512_set1_epi16(x)
#define ADD_SPLAT8(x) _mm512_set1_epi8(x)
#define ADD_PRODUCTS(sum, x, w) _mm512_dpwssd_epi32(sum, x, w)
#define ADD_32 _mm512_add_epi32
#define ADD_16 _mm512_adds_epi16
#define ADD_SHIFT _mm512_sra_epi32
#define ADD_SHIFT_8(x) _mm512_srai_epi32(x, 8)
#define ADD_UNPACK_LOW _mm512_unpacklo_epi8
#define ADD_UNPACK_HIGH _mm512_unpackhi_epi8
#define ADD_PACK_32 _mm512_packs_epi32
#define ADD_PACK_16 _mm512_packs_epi16
#define ADD_MIN _mm512_min_epi8
#define ADD_MAX _mm512_max_epi8
#else
typedef __m256i add_vector;
#define ADD_SPLAT32(x) _mm256_set1_epi32(x)
#define ADD_SPLAT16(x) _mm256_set1_epi16(x)
#define ADD_SPLAT8(x) _mm256_set1_epi8(x)
#define ADD_PRODUCTS(sum, x, w) _mm256_add_epi32(sum, _mm256_madd_epi16(x, w))
#define ADD_32 _mm256_add_epi32
#define ADD_16 _mm256_adds_epi16
#define ADD_SHIFT _mm256_sra_epi32
#define ADD_SHIFT_8(x) _mm256_srai_epi32(x, 8)
#define ADD_UNPACK_LOW _mm256_unpacklo_epi8
#define ADD_UNPACK_HIGH _mm256_unpackhi_epi8
#define ADD_PACK_32 _mm256_packs_epi32
#define ADD_PACK_16 _mm256_packs_epi16
#define ADD_MIN _mm256_min_epi8
#define ADD_MAX _mm256_max_epi8
#endif

typedef struct {
    add_vector high, low, bias, zero, min, max;
    __m128i shift;
} add_constants;

OUNCE_INLINE int32_t pair_of(int32_t first, int32_t second) {
    return (int32_t)((uint32_t)(uint16_t)first | (uint32_t)second << 16);
}

OUNCE_INLINE add_constants make_add_constants(const ounce_add_s8_params *p) {
    const int32_t low[2] = {(int8_t)p->multiplier[0], (int8_t)p->multiplier[1]};
    const int32_t high[2] = {(p->multiplier[0] - low[0]) >> 8, (p->multiplier[1] - low[1]) >> 8};
    return (add_constants){
        .high = ADD_SPLAT32(pair_of(high[0], high[1])), .low = ADD_SPLAT32(pair_of(low[0], low[1])),
        .bias = ADD_SPLAT32(p->bias), .zero = ADD_SPLAT16((int16_t)p->out_zero), .min = ADD_SPLAT8((int8_t)p->out_min),
        .max = ADD_SPLAT8((int8_t)p->out_max), .shift = _mm_cvtsi32_si128(p->shift)};
}

// Sums of the pairs of bytes a, b of half a vector, shifted.
OUNCE_INLINE add_vector add_sums(add_vector pairs, const add_constants *c) {
    const add_vector high = ADD_PRODUCTS(c->bias, pairs, c->high);
    const add_vector low = ADD_SHIFT_8(ADD_PRODUCTS(ADD_SPLAT32(0), pairs, c->low));
    return ADD_SHIFT(ADD_32(high, low), c->shift);
}

OUNCE_INLINE add_vector add_bytes(add_vector a, add_vector b, const add_constants *c) {
    const add_vector low = ADD_UNPACK_LOW(a, b), high = ADD_UNPACK_HIGH(a, b), none = ADD_SPLAT32(0);
    const add_vector first = ADD_PACK_32(add_sums(ADD_UNPACK_LOW(none, low), c), add_sums(ADD_UNPACK_HIGH(none, low), c));
    const add_vector second = ADD_PACK_32(add_sums(ADD_UNPACK_LOW(none, high), c), add_sums(ADD_UNPACK_HIGH(none, high), c));
    const add_vector q = ADD_PACK_16(ADD_16(first, c->zero), ADD_16(second, c->zero));
    return ADD_MIN(ADD_MAX(q, c->min), c->max);
}
