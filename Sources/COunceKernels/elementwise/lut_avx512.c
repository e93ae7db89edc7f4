#if defined(__x86_64__)
#include "../target.h"

TARGET("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi")
#include "../vector.h"

// Each permutation of two vectors looks up 128 entries.
void ounce_lut_s8_avx512popcnt(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_lut_params *p = call->params;
    const int64_t last = ounce_min64(p->count, end * OUNCE_CHUNK);
    const uint8_t *in = call->in[0];
    int8_t *out = call->out;
    __m512i table[4];
    for (int i = 0; i < 4; i++) table[i] = _mm512_loadu_si512(p->table + 64 * i);
    for (int64_t i = begin * OUNCE_CHUNK; i < last; i += 64) {
        const __m512i x = _mm512_loadu_si512(in + i);
        const __m512i low = _mm512_permutex2var_epi8(table[0], x, table[1]);
        const __m512i high = _mm512_permutex2var_epi8(table[2], x, table[3]);
        const __m512i q = _mm512_mask_blend_epi8(_mm512_movepi8_mask(x), low, high);
        if (OUNCE_LIKELY(last - i >= 64)) {
            _mm512_storeu_si512(out + i, q);
        } else {
            _mm512_mask_storeu_epi8(out + i, ((__mmask64)1 << (last - i)) - 1, q);
        }
    }
}
TARGET_END
#endif
