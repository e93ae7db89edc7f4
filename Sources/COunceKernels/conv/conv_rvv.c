// Convolution for RISC-V vectors of any length: output channels in lanes, four pixels at a time.
#if defined(__riscv) && __riscv_xlen == 64
#include "../target.h"

TARGET("arch=+v")
#include "../requantise_rvv.h"
#include "channels.h"
#include "residual.h"

#define PIXELS 4
typedef struct {
    int64_t in[PIXELS], out[PIXELS], count;
} four;

OUNCE_INLINE four make_four(const ounce_conv_params *p, int64_t unit) {
    four f;
    f.count = ounce_conv_offsets(p, unit * PIXELS, ounce_conv_pixel_count(p), PIXELS, f.in, f.out);
    return f;
}

// All channels of the unit's pixels.
OUNCE_INLINE void residual_rvv_s8(const ounce_call *call, const four *f) {
    const ounce_conv_params *p = call->params;
    const ounce_add_s8_params a = p->residual;
    const int32_t lo = a.out_min - a.out_zero, hi = a.out_max - a.out_zero;
    for (int64_t m = 0; m < f->count; m++) {
        int8_t *out = (int8_t *)call->out + f->out[m];
        const int8_t *from = (const int8_t *)call->in[1] + f->out[m];
        for (size_t left = (size_t)p->out_c, vl; left > 0; left -= vl, out += vl, from += vl) {
            vl = __riscv_vsetvl_e32m4(left);
            const vint32m4_t x = __riscv_vsext_vf4_i32m4(__riscv_vle8_v_i8m1(out, vl), vl);
            const vint32m4_t y = __riscv_vsext_vf4_i32m4(__riscv_vle8_v_i8m1(from, vl), vl);
            vint32m4_t v = __riscv_vadd_vx_i32m4(__riscv_vmul_vx_i32m4(x, a.multiplier[0], vl), a.bias, vl);
            v = __riscv_vsra_vx_i32m4(__riscv_vmacc_vx_i32m4(v, a.multiplier[1], y, vl), (size_t)a.shift, vl);
            v = __riscv_vmin_vx_i32m4(__riscv_vmax_vx_i32m4(v, lo, vl), hi, vl);
            v = __riscv_vadd_vx_i32m4(v, a.out_zero, vl);
            __riscv_vse8_v_i8m1(out, __riscv_vncvt_x_x_w_i8m1(__riscv_vncvt_x_x_w_i16m2(v, vl), vl), vl);
        }
    }
}
OUNCE_INLINE void residual_rvv_f32(const ounce_call *call, const four *f) {
    const ounce_conv_params *p = call->params;
    for (int64_t m = 0; m < f->count; m++) {
        float *out = (float *)call->out + f->out[m];
        const float *from = (const float *)call->in[1] + f->out[m];
        for (size_t left = (size_t)p->out_c, vl; left > 0; left -= vl, out += vl, from += vl) {
            vl = __riscv_vsetvl_e32m4(left);
            const vfloat32m4_t x = __riscv_vle32_v_f32m4(out, vl), y = __riscv_vle32_v_f32m4(from, vl);
            rvv_store_clamped(out, __riscv_vfadd_vv_f32m4(x, y, vl), p->residual_min, p->residual_max, vl);
        }
    }
}

// Runs BODY for each reduction index: `at` is its offset from a pixel's first input, `row` its weights.
#define FOR_REDUCTION(view, BODY)                                                       \
    for (int64_t ky = 0; ky < (view)->kernel_h; ky++) {                                 \
        for (int64_t kx = 0; kx < (view)->kernel_w; kx++) {                             \
            const int64_t place = ky * (view)->row_step + kx * (view)->column_step;     \
            for (int64_t at = place; at < place + (view)->group_in; at++, row += (view)->out_c) BODY \
        }                                                                               \
    }

// `vl` output channels from `n` on, of pixels whose group's inputs begin at x.
OUNCE_INLINE void sums_s8(const channels_view *v, const int32_t *start, int64_t n, const int8_t *const *x,
                          int8_t *const *out, int64_t count, rvv_range range, size_t vl) {
    const float *scales = (const float *)(start + v->out_c);
    const int8_t *row = (const int8_t *)(scales + v->out_c) + n;
    const vfloat32m4_t scale = __riscv_vle32_v_f32m4(scales + n, vl);
    vint32m4_t a = __riscv_vle32_v_i32m4(start + n, vl);
    if (count == 1) {
        FOR_REDUCTION(v, {
            const vint16m2_t w = __riscv_vsext_vf2_i16m2(__riscv_vle8_v_i8m1(row, vl), vl);
            a = __riscv_vwmacc_vx_i32m4(a, x[0][at], w, vl);
        })
        rvv_store_requantised(out[0] + n, a, scale, range, vl);
        return;
    }
    vint32m4_t b = a, c = a, d = a;
    FOR_REDUCTION(v, {
        const vint16m2_t w = __riscv_vsext_vf2_i16m2(__riscv_vle8_v_i8m1(row, vl), vl);
        a = __riscv_vwmacc_vx_i32m4(a, x[0][at], w, vl);
        b = __riscv_vwmacc_vx_i32m4(b, x[1][at], w, vl);
        c = __riscv_vwmacc_vx_i32m4(c, x[2][at], w, vl);
        d = __riscv_vwmacc_vx_i32m4(d, x[3][at], w, vl);
    })
    // Places past the last pixel repeat it, so they store the same again.
    rvv_store_requantised(out[0] + n, a, scale, range, vl);
    rvv_store_requantised(out[1] + n, b, scale, range, vl);
    rvv_store_requantised(out[2] + n, c, scale, range, vl);
    rvv_store_requantised(out[3] + n, d, scale, range, vl);
}

void ounce_conv_s8_rvv(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_conv_params *p = call->params;
    const channels_view v = make_channels_view(p);
    const rvv_range range = make_rvv_range(p->out_min, p->out_max, p->out_zero);
    for (int64_t unit = begin; unit < end; unit++) {
        const four f = make_four(p, unit);
        int8_t *out[PIXELS];
        for (int m = 0; m < PIXELS; m++) out[m] = (int8_t *)call->out + f.out[m];
        for (int64_t group = 0; group < v.groups; group++) {
            const int8_t *x[PIXELS];
            for (int m = 0; m < PIXELS; m++) x[m] = (const int8_t *)call->in[0] + f.in[m] + group * v.group_in;
            const int64_t last = (group + 1) * v.group_out;
            for (int64_t n = group * v.group_out; n < last;) {
                const size_t vl = __riscv_vsetvl_e32m4((size_t)(last - n));
                sums_s8(&v, call->packed, n, x, out, f.count, range, vl);
                n += (int64_t)vl;
            }
        }
        if (p->has_residual) residual_rvv_s8(call, &f);
    }
}

OUNCE_INLINE void sums_f32(const channels_view *v, const float *bias, int64_t n, const float *const *x,
                           float *const *out, int64_t count, float min, float max, size_t vl) {
    const float *row = bias + v->out_c + n;
    vfloat32m4_t a = __riscv_vle32_v_f32m4(bias + n, vl);
    if (count == 1) {
        FOR_REDUCTION(v, { a = __riscv_vfmacc_vf_f32m4(a, x[0][at], __riscv_vle32_v_f32m4(row, vl), vl); })
        rvv_store_clamped(out[0] + n, a, min, max, vl);
        return;
    }
    vfloat32m4_t b = a, c = a, d = a;
    FOR_REDUCTION(v, {
        const vfloat32m4_t w = __riscv_vle32_v_f32m4(row, vl);
        a = __riscv_vfmacc_vf_f32m4(a, x[0][at], w, vl);
        b = __riscv_vfmacc_vf_f32m4(b, x[1][at], w, vl);
        c = __riscv_vfmacc_vf_f32m4(c, x[2][at], w, vl);
        d = __riscv_vfmacc_vf_f32m4(d, x[3][at], w, vl);
    })
    rvv_store_clamped(out[0] + n, a, min, max, vl);
    rvv_store_clamped(out[1] + n, b, min, max, vl);
    rvv_store_clamped(out[2] + n, c, min, max, vl);
    rvv_store_clamped(out[3] + n, d, min, max, vl);
}

void ounce_conv_f32_rvv(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_conv_params *p = call->params;
    const channels_view v = make_channels_view(p);
    for (int64_t unit = begin; unit < end; unit++) {
        const four f = make_four(p, unit);
        float *out[PIXELS];
        for (int m = 0; m < PIXELS; m++) out[m] = (float *)call->out + f.out[m];
        for (int64_t group = 0; group < v.groups; group++) {
            const float *x[PIXELS];
            for (int m = 0; m < PIXELS; m++) x[m] = (const float *)call->in[0] + f.in[m] + group * v.group_in;
            const int64_t last = (group + 1) * v.group_out;
            for (int64_t n = group * v.group_out; n < last;) {
                const size_t vl = __riscv_vsetvl_e32m4((size_t)(last - n));
                sums_f32(&v, call->packed, n, x, out, f.count, p->min, p->max, vl);
                n += (int64_t)vl;
            }
        }
        if (p->has_residual) residual_rvv_f32(call, &f);
    }
}
TARGET_END
#endif
