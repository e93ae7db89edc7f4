// The addition of int8 numbers (OUNCE_ADD_S8), also of residuals. In files for an instruction set that has intrinsics below,
// ADD_S8_AVX512 or ADD_S8_AVX2 is defined.
#ifndef OUNCE_ADD_S8_H
#define OUNCE_ADD_S8_H

#include "../vector.h"

OUNCE_INLINE int8_t add_one_s8(const ounce_add_s8_params *p, int8_t a, int8_t b) {
    const int32_t lo = p->out_min - p->out_zero, hi = p->out_max - p->out_zero;
    int32_t v = (p->bias + a * p->multiplier[0] + b * p->multiplier[1]) >> p->shift;
    v = v > lo ? v : lo;
    v = v < hi ? v : hi;
    return (int8_t)(v + p->out_zero);
}

OUNCE_INLINE v16b add_lanes_s8(const ounce_add_s8_params *p, v16b a, v16b b) {
    const v16i lo = (v16i){0} + (p->out_min - p->out_zero), hi = (v16i){0} + (p->out_max - p->out_zero);
    v16i v = __builtin_convertvector(a, v16i) * p->multiplier[0] + __builtin_convertvector(b, v16i) * p->multiplier[1];
    v = (v + p->bias) >> p->shift;
    v = SELECT(v16i, v > lo, v, lo);
    v = SELECT(v16i, v < hi, v, hi);
    return __builtin_convertvector(v + p->out_zero, v16b);
}

// Saturation while sums become narrower leaves the clamp to bytes.
#if defined(ADD_S8_AVX512)
#define ADD_S8_WIDE 64
OUNCE_INLINE void add_wide_s8(const ounce_add_s8_params *p, const int8_t *a, const int8_t *b, int8_t *out) {
    const __m512i bias = _mm512_set1_epi32(p->bias), zero = _mm512_set1_epi16((int16_t)p->out_zero);
    const __m512i by[2] = {_mm512_set1_epi32(p->multiplier[0]), _mm512_set1_epi32(p->multiplier[1])};
    const __m128i shift = _mm_cvtsi32_si128(p->shift);
    __m512i v[4];
    OUNCE_UNROLL for (int i = 0; i < 4; i++) {
        const __m512i x = _mm512_mullo_epi32(_mm512_cvtepi8_epi32(LOAD(__m128i, a + 16 * i)), by[0]);
        const __m512i y = _mm512_mullo_epi32(_mm512_cvtepi8_epi32(LOAD(__m128i, b + 16 * i)), by[1]);
        v[i] = _mm512_sra_epi32(_mm512_add_epi32(_mm512_add_epi32(x, bias), y), shift);
    }
    const __m512i low = _mm512_adds_epi16(_mm512_packs_epi32(v[0], v[1]), zero);
    const __m512i high = _mm512_adds_epi16(_mm512_packs_epi32(v[2], v[3]), zero);
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i q = _mm512_permutexvar_epi32(order, _mm512_packs_epi16(low, high));
    const __m512i lo = _mm512_set1_epi8((int8_t)p->out_min), hi = _mm512_set1_epi8((int8_t)p->out_max);
    _mm512_storeu_si512(out, _mm512_min_epi8(_mm512_max_epi8(q, lo), hi));
}
#elif defined(ADD_S8_AVX2)
#define ADD_S8_WIDE 32
OUNCE_INLINE void add_wide_s8(const ounce_add_s8_params *p, const int8_t *a, const int8_t *b, int8_t *out) {
    const __m256i bias = _mm256_set1_epi32(p->bias), zero = _mm256_set1_epi16((int16_t)p->out_zero);
    const __m256i by[2] = {_mm256_set1_epi32(p->multiplier[0]), _mm256_set1_epi32(p->multiplier[1])};
    const __m128i shift = _mm_cvtsi32_si128(p->shift);
    __m256i v[4];
    OUNCE_UNROLL for (int i = 0; i < 4; i++) {
        const __m256i x = _mm256_mullo_epi32(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(a + 8 * i))), by[0]);
        const __m256i y = _mm256_mullo_epi32(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(b + 8 * i))), by[1]);
        v[i] = _mm256_sra_epi32(_mm256_add_epi32(_mm256_add_epi32(x, bias), y), shift);
    }
    const __m256i low = _mm256_adds_epi16(_mm256_packs_epi32(v[0], v[1]), zero);
    const __m256i high = _mm256_adds_epi16(_mm256_packs_epi32(v[2], v[3]), zero);
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    const __m256i q = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), order);
    const __m256i lo = _mm256_set1_epi8((int8_t)p->out_min), hi = _mm256_set1_epi8((int8_t)p->out_max);
    _mm256_storeu_si256((__m256i *)out, _mm256_min_epi8(_mm256_max_epi8(q, lo), hi));
}
#endif

// out may be a or b.
OUNCE_INLINE void add_run_s8(const ounce_add_s8_params *parameters, const int8_t *a, const int8_t *b, int8_t *out,
                             int64_t count) {
    const ounce_add_s8_params p = *parameters;  // what is stored does not change it
    int64_t i = 0;
#ifdef ADD_S8_WIDE
    for (; i + ADD_S8_WIDE <= count; i += ADD_S8_WIDE) add_wide_s8(&p, a + i, b + i, out + i);
#endif
    for (; i + OUNCE_LANES <= count; i += OUNCE_LANES) {
        const v16b q = add_lanes_s8(&p, LOAD(v16b, a + i), LOAD(v16b, b + i));
        memcpy(out + i, &q, sizeof q);
    }
    if (i == count) return;
    v16b x = {0}, y = {0};
    store_some(&x, a + i, 1, count - i);
    store_some(&y, b + i, 1, count - i);
    const v16b q = add_lanes_s8(&p, x, y);
    store_some(out + i, &q, 1, count - i);
}

#endif
