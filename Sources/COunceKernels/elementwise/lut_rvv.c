#if defined(__riscv) && __riscv_xlen == 64
#include "../target.h"

TARGET("arch=+v")
// Indexed loads: a shuffle of so many registers takes no less, and its time grows with the square of their number.
void ounce_lut_s8_rvv(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_lut_params *p = call->params;
    const int64_t last = ounce_min64(p->count, end * OUNCE_CHUNK);
    const uint8_t *in = call->in[0];
    int8_t *out = call->out;
    for (int64_t i = begin * OUNCE_CHUNK; i < last;) {
        const size_t vl = __riscv_vsetvl_e8m4((size_t)(last - i));
        const vuint8m4_t x = __riscv_vle8_v_u8m4(in + i, vl);
        __riscv_vse8_v_i8m4(out + i, __riscv_vluxei8_v_i8m4(p->table, x, vl), vl);
        i += (int64_t)vl;
    }
}
TARGET_END
#endif
