// Depthwise convolution for RISC-V vectors of any length: channels in lanes, two pixels at a time.
#if defined(__riscv) && __riscv_xlen == 64
#include "../target.h"

TARGET("arch=+v")
#include "../conv/channels.h"
#include "../requantise_rvv.h"

#define PIXELS 4

void ounce_dwconv_s8_rvv(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_conv_params *p = call->params;
    const channels_view v = make_channels_view(p);
    const rvv_range range = make_rvv_range(p->out_min, p->out_max, p->out_zero);
    const int32_t *start = call->packed;
    const float *scales = (const float *)(start + v.out_c);
    const int8_t *weights = (const int8_t *)(scales + v.out_c), *input = call->in[0];
    for (int64_t unit = begin; unit < end; unit++) {
        int64_t in[PIXELS], out[PIXELS];
        const int64_t count = ounce_conv_offsets(p, unit * PIXELS, ounce_conv_pixel_count(p), PIXELS, in, out);
        for (int64_t n = 0; n < v.out_c;) {
            const size_t vl = __riscv_vsetvl_e32m4((size_t)(v.out_c - n));
            const vfloat32m4_t scale = __riscv_vle32_v_f32m4(scales + n, vl);
            for (int64_t m = 0; m < count; m += 2) {
                const int64_t other = m + 1 < count ? m + 1 : m;
                const int8_t *x = input + in[m] + n, *y = input + in[other] + n, *row = weights + n;
                vint32m4_t a = __riscv_vle32_v_i32m4(start + n, vl), b = a;
                for (int64_t ky = 0; ky < v.kernel_h; ky++) {
                    for (int64_t kx = 0; kx < v.kernel_w; kx++, row += v.out_c) {
                        const int64_t at = ky * v.row_step + kx * v.column_step;
                        const vint8m1_t w = __riscv_vle8_v_i8m1(row, vl);
                        const vint8m1_t s = __riscv_vle8_v_i8m1(x + at, vl), t = __riscv_vle8_v_i8m1(y + at, vl);
                        a = __riscv_vwadd_wv_i32m4(a, __riscv_vwmul_vv_i16m2(s, w, vl), vl);
                        b = __riscv_vwadd_wv_i32m4(b, __riscv_vwmul_vv_i16m2(t, w, vl), vl);
                    }
                }
                rvv_store_requantised((int8_t *)call->out + out[m] + n, a, scale, range, vl);
                rvv_store_requantised((int8_t *)call->out + out[other] + n, b, scale, range, vl);
            }
            n += (int64_t)vl;
        }
    }
}

void ounce_dwconv_f32_rvv(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_conv_params *p = call->params;
    const channels_view v = make_channels_view(p);
    const float *bias = call->packed, *weights = bias + v.out_c, *input = call->in[0];
    for (int64_t unit = begin; unit < end; unit++) {
        int64_t in[PIXELS], out[PIXELS];
        const int64_t count = ounce_conv_offsets(p, unit * PIXELS, ounce_conv_pixel_count(p), PIXELS, in, out);
        for (int64_t n = 0; n < v.out_c;) {
            const size_t vl = __riscv_vsetvl_e32m4((size_t)(v.out_c - n));
            for (int64_t m = 0; m < count; m += 2) {
                const int64_t other = m + 1 < count ? m + 1 : m;
                const float *x = input + in[m] + n, *y = input + in[other] + n, *row = weights + n;
                vfloat32m4_t a = __riscv_vle32_v_f32m4(bias + n, vl), b = a;
                for (int64_t ky = 0; ky < v.kernel_h; ky++) {
                    for (int64_t kx = 0; kx < v.kernel_w; kx++, row += v.out_c) {
                        const int64_t at = ky * v.row_step + kx * v.column_step;
                        const vfloat32m4_t w = __riscv_vle32_v_f32m4(row, vl);
                        a = __riscv_vfmacc_vv_f32m4(a, __riscv_vle32_v_f32m4(x + at, vl), w, vl);
                        b = __riscv_vfmacc_vv_f32m4(b, __riscv_vle32_v_f32m4(y + at, vl), w, vl);
                    }
                }
                rvv_store_clamped((float *)call->out + out[m] + n, a, p->min, p->max, vl);
                rvv_store_clamped((float *)call->out + out[other] + n, b, p->min, p->max, vl);
            }
            n += (int64_t)vl;
        }
    }
}
TARGET_END
#endif
