#if defined(__aarch64__)
#include "../target.h"

#include "../vector.h"

// Each instruction looks up 64 entries, and leaves alone (or sets to 0) what lies outside.
void ounce_lut_s8_neon(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_lut_params *p = call->params;
    const int64_t last = ounce_min64(p->count, end * OUNCE_CHUNK);
    const uint8_t *in = call->in[0];
    int8_t *out = call->out;
    int8x16x4_t table[4];
    for (int i = 0; i < 4; i++) table[i] = vld1q_s8_x4(p->table + 64 * i);
    int64_t i = begin * OUNCE_CHUNK;
    for (; i + 16 <= last; i += 16) {
        const uint8x16_t x = vld1q_u8(in + i);
        int8x16_t q = vqtbl4q_s8(table[0], x);
        q = vqtbx4q_s8(q, table[1], vsubq_u8(x, vdupq_n_u8(64)));
        q = vqtbx4q_s8(q, table[2], vsubq_u8(x, vdupq_n_u8(128)));
        q = vqtbx4q_s8(q, table[3], vsubq_u8(x, vdupq_n_u8(192)));
        vst1q_s8(out + i, q);
    }
    for (; i < last; i++) out[i] = p->table[in[i]];
}
#endif
