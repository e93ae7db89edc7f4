// The requantisation rule (common.h) for vectors of any length. Conversions to integers saturate.
#ifndef OUNCE_REQUANTISE_RVV_H
#define OUNCE_REQUANTISE_RVV_H

#include "common.h"

#include <riscv_vector.h>

typedef struct {
    int32_t lo, hi, zero;
} rvv_range;

OUNCE_INLINE rvv_range make_rvv_range(int32_t out_min, int32_t out_max, int32_t zero) {
    return (rvv_range){out_min - zero, out_max - zero, zero};
}

OUNCE_INLINE void rvv_store_requantised(int8_t *out, vint32m4_t sums, vfloat32m4_t scale, rvv_range r, size_t vl) {
    const vfloat32m4_t v = __riscv_vfmul_vv_f32m4(__riscv_vfcvt_f_x_v_f32m4_rm(sums, __RISCV_FRM_RNE, vl), scale, vl);
    vint32m4_t q = __riscv_vfcvt_x_f_v_i32m4_rm(v, __RISCV_FRM_RNE, vl);
    q = __riscv_vadd_vx_i32m4(
        __riscv_vmin_vx_i32m4(__riscv_vmax_vx_i32m4(q, r.lo, vl), r.hi, vl), r.zero, vl);
    __riscv_vse8_v_i8m1(out, __riscv_vncvt_x_x_w_i8m1(__riscv_vncvt_x_x_w_i16m2(q, vl), vl), vl);
}

// A clamp that lets NaN through.
OUNCE_INLINE void rvv_store_clamped(float *out, vfloat32m4_t v, float min, float max, size_t vl) {
    v = __riscv_vfmerge_vfm_f32m4(v, min, __riscv_vmflt_vf_f32m4_b8(v, min, vl), vl);
    v = __riscv_vfmerge_vfm_f32m4(v, max, __riscv_vmfgt_vf_f32m4_b8(v, max, vl), vl);
    __riscv_vse32_v_f32m4(out, v, vl);
}

#endif
