// Int8 convolution with float results for RISC-V vectors of any length: output channels in lanes, four pixels at a time.
#if defined(__riscv) && __riscv_xlen == 64
#include "../target.h"

TARGET("arch=+v")
#include "../requantise_rvv.h"
#include "channels.h"

#define PIXELS 4

OUNCE_INLINE void store_scaled(float *out, vint32m4_t sums, vfloat32m4_t scale, const ounce_conv_params *p, size_t vl) {
    const vfloat32m4_t v = __riscv_vfcvt_f_x_v_f32m4_rm(sums, __RISCV_FRM_RNE, vl);
    rvv_store_clamped(out, __riscv_vfmul_vv_f32m4(v, scale, vl), p->min, p->max, vl);
}

// `vl` output channels from `n` on, of pixels whose group's inputs begin at x. Pixels past the last one repeat it.
OUNCE_INLINE void sums(const ounce_call *call, const channels_view *v, int64_t n, const int8_t *const *x,
                       float *const *out, size_t vl) {
    const int32_t *start = call->packed;
    const float *scales = (const float *)(start + v->out_c);
    const int8_t *row = (const int8_t *)(scales + v->out_c) + n;
    vint32m4_t a = __riscv_vle32_v_i32m4(start + n, vl), b = a, c = a, d = a;
    for (int64_t ky = 0; ky < v->kernel_h; ky++) {
        for (int64_t kx = 0; kx < v->kernel_w; kx++) {
            const int64_t place = ky * v->row_step + kx * v->column_step;
            for (int64_t at = place; at < place + v->group_in; at++, row += v->out_c) {
                const vint16m2_t w = __riscv_vsext_vf2_i16m2(__riscv_vle8_v_i8m1(row, vl), vl);
                a = __riscv_vwmacc_vx_i32m4(a, x[0][at], w, vl);
                b = __riscv_vwmacc_vx_i32m4(b, x[1][at], w, vl);
                c = __riscv_vwmacc_vx_i32m4(c, x[2][at], w, vl);
                d = __riscv_vwmacc_vx_i32m4(d, x[3][at], w, vl);
            }
        }
    }
    const vfloat32m4_t scale = __riscv_vle32_v_f32m4(scales + n, vl);
    store_scaled(out[0] + n, a, scale, call->params, vl);
    store_scaled(out[1] + n, b, scale, call->params, vl);
    store_scaled(out[2] + n, c, scale, call->params, vl);
    store_scaled(out[3] + n, d, scale, call->params, vl);
}

void ounce_conv_s8f32_rvv(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_conv_params *p = call->params;
    const channels_view v = make_channels_view(p);
    for (int64_t unit = begin; unit < end; unit++) {
        int64_t in[PIXELS], to[PIXELS];
        ounce_conv_offsets(p, unit * PIXELS, ounce_conv_pixel_count(p), PIXELS, in, to);
        const int8_t *x[PIXELS];
        float *out[PIXELS];
        for (int64_t group = 0; group < v.groups; group++) {
            for (int m = 0; m < PIXELS; m++) {
                x[m] = (const int8_t *)call->in[0] + in[m] + group * v.group_in;
                out[m] = (float *)call->out + to[m];
            }
            const int64_t last = (group + 1) * v.group_out;
            for (int64_t n = group * v.group_out; n < last;) {
                const size_t vl = __riscv_vsetvl_e32m4((size_t)(last - n));
                sums(call, &v, n, x, out, vl);
                n += (int64_t)vl;
            }
        }
    }
}
TARGET_END
#endif
