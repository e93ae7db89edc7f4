// Convolution and depthwise convolution in portable C: any groups, strides and dilations. A unit is one output pixel.
#include "../kernels.h"
#include "pixels.h"
#include "residual.h"

// Packed: for each output channel its start value (bias), for int8 then its scale; then the weights as they come.
typedef struct {
    const ounce_conv_params *p;
    int64_t weights_per_channel, group_in, group_out;
} geometry;

static geometry make_geometry(const ounce_conv_params *p) {
    const int64_t group_in = p->in_c / p->groups;
    return (geometry){p, group_in * p->kernel_h * p->kernel_w, group_in, p->out_c / p->groups};
}

int64_t ounce_conv_pixels(const void *params) { return ounce_conv_pixel_count(params); }

size_t ounce_conv_f32_plain_size(const void *params, const ounce_conv_weights *weights) {
    (void)weights;
    const ounce_conv_params *p = params;
    return (size_t)p->out_c * 4 * (1 + (size_t)make_geometry(p).weights_per_channel);
}

void ounce_conv_f32_plain_pack(const void *params, const ounce_conv_weights *weights, void *packed) {
    const ounce_conv_params *p = params;
    const geometry g = make_geometry(p);
    float *to = packed;
    for (int64_t n = 0; n < p->out_c; n++) to[n] = weights->bias ? ((const float *)weights->bias)[n] : 0;
    memcpy(to + p->out_c, weights->weights, (size_t)(p->out_c * g.weights_per_channel) * 4);
}

static void conv_f32(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_conv_params *p = call->params;
    const geometry g = make_geometry(p);
    const float *bias = call->packed, *weights = bias + p->out_c;
    for (int64_t pixel = begin; pixel < end; pixel++) {
        int64_t in_offset, out_offset;
        ounce_conv_offsets(p, pixel, pixel + 1, 1, &in_offset, &out_offset);
        float *out = (float *)call->out + out_offset;
        for (int64_t n = 0; n < p->out_c; n++) {
            const float *in = (const float *)call->in[0] + in_offset + n / g.group_out * g.group_in;
            const float *w = weights + n * g.weights_per_channel;
            float acc = bias[n];
            for (int64_t ky = 0; ky < p->kernel_h; ky++) {
                for (int64_t kx = 0; kx < p->kernel_w; kx++, w += g.group_in) {
                    const float *x = in + ky * p->dilation_h * p->in_row + kx * p->dilation_w * p->in_pixel;
                    for (int64_t k = 0; k < g.group_in; k++) acc = __builtin_fmaf(x[k], w[k], acc);
                }
            }
            out[n] = ounce_clamp(acc, p->min, p->max);
            if (p->has_residual) out[n] = residual_one_f32(p, out[n], *RESIDUAL(out + n, residual_offset(call)));
        }
    }
}

size_t ounce_conv_s8_plain_size(const void *params, const ounce_conv_weights *weights) {
    (void)weights;
    const ounce_conv_params *p = params;
    return (size_t)p->out_c * (8 + (size_t)make_geometry(p).weights_per_channel);
}

// sum((x - zero) * w) + bias = sum(x * w) + (bias - zero * sum(w)): the bracket is packed as the start value.
void ounce_conv_s8_plain_pack(const void *params, const ounce_conv_weights *weights, void *packed) {
    const ounce_conv_params *p = params;
    const geometry g = make_geometry(p);
    int32_t *start = packed;
    float *scale = (float *)(start + p->out_c);
    for (int64_t n = 0; n < p->out_c; n++) {
        const int8_t *w = (const int8_t *)weights->weights + n * g.weights_per_channel;
        int32_t sum = 0;
        for (int64_t k = 0; k < g.weights_per_channel; k++) sum = ounce_wrap_add(sum, w[k]);
        const int32_t bias = weights->bias ? ((const int32_t *)weights->bias)[n] : 0;
        start[n] = ounce_wrap_add(bias, ounce_wrap_mul(-p->in_zero, sum));
        scale[n] = weights->scale[n];
    }
    memcpy(scale + p->out_c, weights->weights, (size_t)(p->out_c * g.weights_per_channel));
}

// Results as int8 by the requantisation rule, or as float.
OUNCE_INLINE void conv_s8(const ounce_call *call, int64_t begin, int64_t end, const int is_float) {
    const ounce_conv_params *p = call->params;
    const geometry g = make_geometry(p);
    const int32_t *start = call->packed;
    const float *scale = (const float *)(start + p->out_c);
    const int8_t *weights = (const int8_t *)(scale + p->out_c);
    const ounce_range range = ounce_make_range(p->out_min, p->out_max, p->out_zero);
    for (int64_t pixel = begin; pixel < end; pixel++) {
        int64_t in_offset, out_offset;
        ounce_conv_offsets(p, pixel, pixel + 1, 1, &in_offset, &out_offset);
        for (int64_t n = 0; n < p->out_c; n++) {
            const int8_t *in = (const int8_t *)call->in[0] + in_offset + n / g.group_out * g.group_in;
            const int8_t *w = weights + n * g.weights_per_channel;
            uint32_t acc = (uint32_t)start[n];
            for (int64_t ky = 0; ky < p->kernel_h; ky++) {
                for (int64_t kx = 0; kx < p->kernel_w; kx++, w += g.group_in) {
                    const int8_t *x = in + ky * p->dilation_h * p->in_row + kx * p->dilation_w * p->in_pixel;
                    for (int64_t k = 0; k < g.group_in; k++) acc += (uint32_t)(x[k] * w[k]);
                }
            }
            if (is_float) {
                ((float *)call->out)[out_offset + n] = ounce_clamp((float)(int32_t)acc * scale[n], p->min, p->max);
            } else {
                int8_t *out = (int8_t *)call->out + out_offset + n;
                *out = ounce_requantise((int32_t)acc, scale[n], range);
                if (p->has_residual) *out = add_one_s8(&p->residual, *out, *RESIDUAL(out, residual_offset(call)));
            }
        }
    }
}

void ounce_conv_f32_scalar(const ounce_call *call, int64_t begin, int64_t end) { conv_f32(call, begin, end); }
void ounce_dwconv_f32_scalar(const ounce_call *call, int64_t begin, int64_t end) { conv_f32(call, begin, end); }
void ounce_conv_s8_scalar(const ounce_call *call, int64_t begin, int64_t end) { conv_s8(call, begin, end, 0); }
void ounce_dwconv_s8_scalar(const ounce_call *call, int64_t begin, int64_t end) { conv_s8(call, begin, end, 0); }
void ounce_conv_s8f32_scalar(const ounce_call *call, int64_t begin, int64_t end) { conv_s8(call, begin, end, 1); }
