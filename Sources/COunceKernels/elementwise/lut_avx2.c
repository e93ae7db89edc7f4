#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma")
#include "../vector.h"

// A shuffle looks up sixteen entries, and gives 0 where the index has its highest bit set. Row r serves the numbers from
// 16 r on: with 16 r taken from them, unsigned, those of no more than 15 stay as they are, and all others must not be looked
// up. Adding 112 with saturation sets their highest bit and keeps the low four of the others.
OUNCE_INLINE __m256i look_up(const __m256i rows[16], __m256i x) {
    __m256i result = _mm256_setzero_si256();
    OUNCE_UNROLL for (int r = 0; r < 16; r++) {
        const __m256i index = _mm256_sub_epi8(x, _mm256_set1_epi8((char)(16 * r)));
        result = _mm256_or_si256(result, _mm256_shuffle_epi8(rows[r], _mm256_adds_epu8(index, _mm256_set1_epi8(112))));
    }
    return result;
}

void ounce_lut_s8_avx2(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_lut_params *p = call->params;
    const int64_t last = ounce_min64(p->count, end * OUNCE_CHUNK);
    const uint8_t *in = call->in[0];
    int8_t *out = call->out;
    __m256i rows[16];
    for (int r = 0; r < 16; r++) {
        rows[r] = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(p->table + 16 * r)));
    }
    int64_t i = begin * OUNCE_CHUNK;
    for (; i + 32 <= last; i += 32) {
        const __m256i x = _mm256_loadu_si256((const __m256i *)(in + i));
        _mm256_storeu_si256((__m256i *)(out + i), look_up(rows, x));
    }
    for (; i < last; i++) out[i] = p->table[in[i]];
}
TARGET_END
#endif
