#if defined(__riscv) && __riscv_xlen == 64
#include "peak.h"

TARGET("arch=+v")

// Six groups of four registers; vectors of this type cannot stand in arrays.
#define SIX(STEP) STEP(a) STEP(b) STEP(c) STEP(d) STEP(e) STEP(f)
#define HELD(v) __asm__ volatile("" : "+vr"(v));

int64_t ounce_peak_f32_rvv(int64_t rounds) {
    const size_t vl = __riscv_vsetvlmax_e32m4();
    vfloat32m4_t x = __riscv_vfmv_v_f_f32m4(0, vl), a = x, b = x, c = x, d = x, e = x, f = x;
    float y = 0;
    __asm__ volatile("" : "+f"(y));
    HELD(x)
#define FLOATS(v) v = __riscv_vfmacc_vf_f32m4(v, y, x, vl); HELD(v)
    for (int64_t r = 0; r < rounds; r++) { SIX(FLOATS) }
    return rounds * 6 * (int64_t)vl;
}

int64_t ounce_peak_s8_rvv(int64_t rounds) {
    const size_t vl = __riscv_vsetvlmax_e32m4();
    vint32m4_t a = __riscv_vmv_v_x_i32m4(0, vl), b = a, c = a, d = a, e = a, f = a;
    vint16m2_t x = __riscv_vmv_v_x_i16m2(0, vl);
    int16_t y = 0;
    __asm__ volatile("" : "+r"(y));
    HELD(x)
#define WORDS(v) v = __riscv_vwmacc_vx_i32m4(v, y, x, vl); HELD(v)
    for (int64_t r = 0; r < rounds; r++) { SIX(WORDS) }
    return rounds * 6 * (int64_t)vl;
}
TARGET_END
#endif
