// Random steps: ragged extents, gaps between rows and pixels, extreme values.
#include "kernel_tests.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PICK(...) pick((const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))
static int pick(const int *from, size_t count) { return from[random_bits() % count]; }

int is_conv(ounce_family family) {
    return family == OUNCE_CONV_F32 || family == OUNCE_CONV_S8 || family == OUNCE_DWCONV_F32 ||
           family == OUNCE_DWCONV_S8 || family == OUNCE_CONV_S8F32;
}
static int is_int8_conv(ounce_family family) {
    return family == OUNCE_CONV_S8 || family == OUNCE_DWCONV_S8 || family == OUNCE_CONV_S8F32;
}

static void *random_floats(size_t count, float size, int odd) {
    float *v = malloc(count * 4 + 4);
    for (size_t i = 0; i < count; i++) {
        v[i] = random_float(-size, size);
        if (odd && random_int(0, 15) == 0) {
            const float odd_values[] = {0.0f, -0.0f, INFINITY, -INFINITY, NAN, 1e-42f, 3e38f, -3e38f};
            v[i] = odd_values[random_int(0, 7)];
        }
    }
    return v;
}

// Kinds: 0 uniform, 1 all the lowest, 2 only extremes.
static void *random_int8s(size_t count, int kind) {
    int8_t *v = malloc(count + 1);
    for (size_t i = 0; i < count; i++) v[i] = (int8_t)random_bits();
    for (size_t i = 0; i < count && kind == 1; i++) v[i] = -128;
    for (size_t i = 0; i < count && kind == 2; i++) v[i] = random_int(0, 1) ? -128 : 127;
    return v;
}

static void random_encoding(int32_t *zero, int32_t *min, int32_t *max) {
    *zero = random_int(0, 2) ? random_int(-128, 127) : PICK(-128, 0, 127);
    *min = random_int(0, 1) ? -128 : *zero;
    *max = random_int(0, 1) ? 127 : random_int(*min, 127);
}

static ounce_add_s8_params random_addition(int shift) {
    ounce_add_s8_params p = {.shift = shift, .bias = 1 << (shift - 1)};
    random_encoding(&p.out_zero, &p.out_min, &p.out_max);
    for (int k = 0; k < 2; k++) {
        p.multiplier[k] = random_int(-(1 << 21), 1 << 21);
        if (random_int(0, 3) == 0) p.multiplier[k] = 1 << random_int(0, 21);  // ties
        p.bias -= p.multiplier[k] * random_int(-128, 127);
    }
    return p;
}

// Zeros of both signs; sums that pass through -0.
static void shape_float_weights(float *w, size_t weights, float *bias, size_t channels, float *in, size_t inputs) {
    for (size_t i = 0; i < weights; i++) {
        if (random_int(0, 9) < 7) w[i] = random_int(0, 19) ? 0.0f : -0.0f;
    }
    if (random_int(0, 3)) return;
    for (size_t i = 0; i < channels; i++) bias[i] = random_int(0, 1) ? -0.0f : 0.0f;
    for (size_t i = 0; i < inputs; i++) in[i] = random_int(0, 9) ? (random_int(0, 1) ? 0.0f : -0.0f) : -1e-42f;
}

step *make_conv_step(ounce_family family, ounce_conv_params p) {
    step *s = calloc(1, sizeof *s);
    s->family = family;
    s->has_weights = 1;
    const size_t element = is_int8_conv(family) ? 1 : 4;
    const size_t weights = (size_t)p.out_c * (size_t)p.kernel_h * (size_t)p.kernel_w * (size_t)(p.in_c / p.groups);
    const int64_t last_y = (int64_t)(p.out_h - 1) * p.stride_h + (p.kernel_h - 1) * p.dilation_h;
    const int64_t last_x = (int64_t)(p.out_w - 1) * p.stride_w + (p.kernel_w - 1) * p.dilation_w;
    const size_t in = (size_t)((p.batch - 1) * p.in_image + last_y * p.in_row + last_x * p.in_pixel + p.in_c);
    s->in_bytes[0] = in * element;
    s->out_bytes = (family == OUNCE_CONV_S8F32 ? 4 : element) * (size_t)((p.batch - 1) * p.out_image + (p.out_h - 1) * p.out_row +
                                      (p.out_w - 1) * p.out_pixel + p.out_c);
    s->weight_bytes = weights * element;
    if (element == 1) {
        const int kind = random_int(0, 9), sum = p.kernel_h * p.kernel_w * (p.in_c / p.groups);
        s->in[0] = random_int8s(in, kind > 2 ? 0 : kind);
        int8_t *w = random_int8s(weights, kind > 2 ? 0 : kind);
        // Quantised models have no weight of -128; kernels may refuse it.
        for (size_t i = 0; i < weights && kind > 4; i++) w[i] = w[i] == -128 ? -127 : w[i];
        float *scale = malloc((size_t)p.out_c * 4);
        int32_t *bias = malloc((size_t)p.out_c * 4);
        for (int n = 0; n < p.out_c; n++) {
            scale[n] = random_float(0.2f, 2.0f) / (40.0f * sqrtf((float)sum));
            bias[n] = kind == 9 ? (int32_t)random_bits() : random_int(-20000, 20000);
        }
        s->weights = (ounce_conv_weights){w, random_int(0, 4) ? bias : NULL, scale};
        if (!s->weights.bias) free(bias);
        random_encoding(&p.out_zero, &p.out_min, &p.out_max);
        p.in_zero = random_int(-128, 127);
        p.min = random_int(0, 1) ? 0 : -INFINITY;
        p.max = random_int(0, 1) ? 6 : INFINITY;
    } else {
        s->in[0] = random_floats(in, 2, random_int(0, 9) == 0);
        void *bias = random_floats((size_t)p.out_c, 1, 0);
        float *w = random_floats(weights, 1, 0);
        if (random_int(0, 1)) shape_float_weights(w, weights, bias, (size_t)p.out_c, s->in[0], in);
        s->weights = (ounce_conv_weights){w, random_int(0, 4) ? bias : NULL, NULL};
        if (!s->weights.bias) free(bias);
        p.min = random_int(0, 1) ? 0 : -INFINITY;
        p.max = random_int(0, 1) ? 6 : INFINITY;
    }
    if ((family == OUNCE_CONV_F32 || family == OUNCE_CONV_S8) && random_int(0, 2) == 0) {
        p.has_residual = 1;
        p.residual = random_addition(random_int(18, 24));
        p.residual_min = random_int(0, 1) ? 0 : -INFINITY;
        p.residual_max = random_int(0, 1) ? 6 : INFINITY;
        s->in_bytes[1] = s->out_bytes;
        s->in[1] = element == 1 ? random_int8s(s->out_bytes, 0) : random_floats(s->out_bytes / 4, 2, random_int(0, 9) == 0);
    }
    s->p.conv = p;
    if (element == 1 && random_int(0, 1)) set_weights(s, (weights_kind)random_int(1, WEIGHTS_KINDS - 1));
    snprintf(s->text, sizeof s->text,
             "batch %d, %d -> %d channels, out %dx%d, kernel %dx%d/%dx%d*%dx%d, groups %d, gaps %d, residual %d",
             p.batch, p.in_c, p.out_c, p.out_h, p.out_w, p.kernel_h, p.kernel_w, p.stride_h, p.stride_w, p.dilation_h,
             p.dilation_w, p.groups, p.in_pixel != p.in_c || p.out_pixel != p.out_c,
             p.has_residual);
    return s;
}

void set_weights(step *s, weights_kind kind) {
    const int is_int8 = is_int8_conv(s->family);
    const size_t element = is_int8 ? 1 : 4, count = s->weight_bytes / element;
    const size_t channel = count / (size_t)s->p.conv.out_c, run = kind == WEIGHTS_SPARSE_BLOCKS ? 4 : 1;
    int8_t *w = (int8_t *)(uintptr_t)s->weights.weights;
    if (is_int8) {
        const int high = kind == WEIGHTS_4_BITS ? 7 : kind == WEIGHTS_2_BITS ? 1 : 127;
        for (size_t i = 0; i < count; i++) w[i] = (int8_t)random_int(high == 127 ? -127 : -high - 1, high);
        for (size_t i = 0; i < count && kind == WEIGHTS_1_BIT; i++) w[i] = random_int(0, 1) ? 1 : -1;
        const int most = high == 127 || random_int(0, 1) ? 1 : 127 / (high + 1);
        for (size_t i = 0, factor = 1; i < count; i++) {
            if (i % channel % 32 == 0) factor = (size_t)random_int(1, most);
            w[i] = (int8_t)(w[i] * (int)factor);
        }
    }
    if (is_int8 && kind == WEIGHTS_1_BIT) {
        const int low = random_int(0, 1) ? -1 : 0;
        for (size_t i = 0; i < s->in_bytes[0]; i++) {
            ((int8_t *)s->in[0])[i] = (int8_t)(random_int(0, 9) ? (random_int(0, 1) ? 1 : -1) : low);
        }
        s->p.conv.in_ternary = 1;
    }
    if (kind != WEIGHTS_SPARSE_BLOCKS && kind != WEIGHTS_SPARSE) return;
    for (size_t i = 0; i < count;) {
        const size_t end = (i % channel + run > channel ? channel - i % channel : run) + i;
        if (random_int(0, 9) < 8) memset(w + i * element, 0, (end - i) * element);
        i = end;
    }
}

static void random_strides(int64_t channels, int64_t width, int64_t height, int gaps, int64_t *image, int64_t *row,
                           int64_t *pixel) {
    *pixel = channels + (gaps & 1 ? random_int(0, 5) : 0);
    *row = width * *pixel + (gaps & 2 ? random_int(0, 9) : 0);
    *image = height * *row + (gaps & 2 ? random_int(0, 9) : 0);
}

static step *make_random_conv(ounce_family family) {
    ounce_conv_params p = {.batch = random_int(1, 3), .out_h = random_int(1, 7), .out_w = random_int(1, 19)};
    p.kernel_h = PICK(1, 1, 3, 3, 5, 2, 4, 7), p.kernel_w = random_int(0, 2) ? p.kernel_h : PICK(1, 2, 3, 5, 9);
    p.stride_h = PICK(1, 1, 2, 3), p.stride_w = random_int(0, 2) ? p.stride_h : PICK(1, 2, 3);
    p.dilation_h = PICK(1, 1, 1, 2), p.dilation_w = PICK(1, 1, 1, 2, 3);
    p.groups = 1;
    if (family == OUNCE_DWCONV_F32 || family == OUNCE_DWCONV_S8) {
        p.in_c = p.out_c = p.groups =
            PICK(1, 3, 7, 8, 8, 9, 15, 16, 17, 24, 31, 32, 33, 40, 63, 64, 65, 72, 96, 127, 130, 200);
        if (random_int(0, 3) == 0) p.out_w = random_int(17, 70);
    } else if (random_int(0, 3) == 0) {  // fully connected
        p.kernel_h = p.kernel_w = p.out_h = p.out_w = 1;
        p.batch = PICK(1, 1, 1, 2, 5, 9, 14, 33);
        p.in_c = random_int(1, 300), p.out_c = random_int(1, 200);
    } else {
        p.in_c = PICK(1, 2, 3, 3, 4, 5, 8, 16, 17, 33, 64);
        p.out_c = PICK(1, 3, 8, 15, 16, 17, 31, 32, 33, 48, 64, 65, 100);
        if (random_int(0, 9) == 0) {  // more than one piece of a row, or more input than is kept near
            if (random_int(0, 1)) p.out_w = random_int(100, 260), p.out_h = random_int(1, 3), p.in_c = random_int(1, 9);
            else p.in_c = random_int(500, 900), p.out_c = random_int(1, 9), p.batch = 1;
        }
        if (random_int(0, 7) == 0) {
            p.groups = random_int(2, 4);
            p.in_c = p.groups * random_int(1, random_int(0, 1) ? 9 : 40), p.out_c = p.groups * random_int(1, random_int(0, 1) ? 9 : 70);
        }
    }
    int deep = 0;  // sums around its limit, and beyond
    const int plain = family == OUNCE_CONV_S8 && random_int(0, 3) == 0;  // what Winograd's convolution is for
    if (plain) {
        p.kernel_h = p.kernel_w = 3;
        p.stride_h = p.stride_w = p.dilation_h = p.dilation_w = p.groups = 1;
        p.out_h = random_int(1, 13), p.out_w = random_int(1, 19), p.in_c = random_int(1, 40), p.out_c = random_int(1, 70);
        if (random_int(0, 3) == 0) p.out_h = random_int(17, 40), p.out_w = random_int(17, 40), p.in_c = random_int(1, 9);
        deep = random_int(0, 3) == 0;
        if (deep) p.out_h = random_int(1, 6), p.in_c = PICK(100, 227, 227, 228, 250, 400), p.out_c = random_int(1, 20);
    }
    const int signs = !plain && family == OUNCE_CONV_S8 && random_int(0, 7) == 0;  // of windows of few whole words
    if (signs) {
        p.groups = p.kernel_h = p.dilation_w = 1, p.kernel_w = random_int(1, 3);
        p.in_c = PICK(32, 64), p.out_c = PICK(17, 32, 40, 100), p.out_w = random_int(1, 40);
    }
    const int64_t in_h = (p.out_h - 1) * p.stride_h + (p.kernel_h - 1) * p.dilation_h + 1 + random_int(0, 1);
    const int64_t in_w = (p.out_w - 1) * p.stride_w + (p.kernel_w - 1) * p.dilation_w + 1 + random_int(0, 1);
    const int gaps = random_int(0, 3) ? 0 : random_int(1, 3);
    random_strides(p.in_c, in_w, in_h, gaps, &p.in_image, &p.in_row, &p.in_pixel);
    random_strides(p.out_c, p.out_w, p.out_h, gaps, &p.out_image, &p.out_row, &p.out_pixel);
    step *s = make_conv_step(family, p);
    if (signs) set_weights(s, WEIGHTS_1_BIT);
    if (deep && random_int(0, 1)) {
        memset((void *)(uintptr_t)s->weights.weights, -128, s->weight_bytes);
        memset(s->in[0], random_int(0, 1) ? -128 : 127, s->in_bytes[0]);
        s->p.conv.in_ternary = 0;
    }
    return s;
}

static void make_pool(step *s) {
    ounce_pool_params p = {.batch = random_int(1, 2), .in_h = random_int(1, 9), .in_w = random_int(1, 9)};
    p.channels = PICK(1, 3, 8, 16, 17, 64, 65, 100);
    p.out_h = random_int(1, 6), p.out_w = random_int(1, 6);
    p.kernel_h = random_int(1, 5), p.kernel_w = random_int(1, 5);
    p.stride_h = random_int(1, 3), p.stride_w = random_int(1, 3);
    p.dilation_h = PICK(1, 1, 2), p.dilation_w = PICK(1, 1, 2);
    if (random_int(0, 1)) p.kernel_h = p.kernel_w = PICK(2, 3), p.dilation_h = p.dilation_w = 1;
    p.pad_top = random_int(0, 3), p.pad_left = random_int(0, 3), p.count_padding = random_int(0, 1);
    const int gaps = random_int(0, 3);
    random_strides(p.channels, p.in_w, p.in_h, gaps, &p.in_image, &p.in_row, &p.in_pixel);
    random_strides(p.channels, p.out_w, p.out_h, gaps, &p.out_image, &p.out_row, &p.out_pixel);
    const int is_float = s->family == OUNCE_MAXPOOL_F32 || s->family == OUNCE_AVGPOOL_F32;
    p.min = random_int(0, 1) ? 0 : -INFINITY, p.max = random_int(0, 1) ? 6 : INFINITY;
    random_encoding(&p.out_zero, &p.out_min, &p.out_max);
    p.in_zero = random_int(-128, 127), p.scale = random_float(0.3f, 3);
    if (random_int(0, 1)) p.in_zero = p.out_zero, p.scale = 1, p.round_away = 1;
    const size_t in = (size_t)(p.batch * p.in_image), out = (size_t)(p.batch * p.out_image);
    s->in[0] = is_float ? random_floats(in, 9, random_int(0, 3) == 0) : random_int8s(in, 0);
    s->in_bytes[0] = in * (is_float ? 4 : 1), s->out_bytes = out * (is_float ? 4 : 1);
    s->p.pool = p;
    snprintf(s->text, sizeof s->text, "%dx%d -> %dx%d, %d channels, kernel %dx%d/%dx%d*%dx%d", p.in_h, p.in_w, p.out_h,
             p.out_w, p.channels, p.kernel_h, p.kernel_w, p.stride_h, p.stride_w, p.dilation_h, p.dilation_w);
}

static void make_binary(step *s) {
    ounce_binary_params p = {.op = random_int(0, 5), .rank = random_int(1, 5)};
    p.min = random_int(0, 1) ? 0 : -INFINITY, p.max = random_int(0, 1) ? 6 : INFINITY;
    int64_t total = 1, size[2] = {1, 1};
    for (int axis = p.rank - 1; axis >= 0; axis--) {
        p.extent[axis] = p.rank == 1 ? random_int(1, 9000) : random_int(1, 9);
        if (axis == p.rank - 1 && random_int(0, 1)) p.extent[axis] = random_int(1, 70);
        total *= p.extent[axis];
        for (int k = 0; k < 2; k++) {
            if (random_int(0, 3) == 0) continue;
            p.stride[k][axis] = size[k];
            size[k] *= p.extent[axis];
        }
    }
    for (int k = 0; k < 2; k++) {
        s->in[k] = random_floats((size_t)size[k], 9, random_int(0, 1));
        s->in_bytes[k] = (size_t)size[k] * 4;
    }
    s->out_bytes = (size_t)total * 4;
    s->p.binary = p;
    snprintf(s->text, sizeof s->text, "op %d, rank %d, %d elements", p.op, p.rank, (int)total);
}

// Long axes and few, so that tiles, interleavings and long runs are met.
static void random_extents(ounce_copy_params *p) {
    const int longest = p->rank == 1 ? 9999 : p->rank == 2 ? 300 : 40;
    for (int axis = 0; axis < p->rank; axis++) {
        p->extent[axis] = p->rank == 1 || random_int(0, 2) == 0 ? random_int(1, longest) : PICK(1, 2, 3, 4, 5, 8, 12, 17, 33);
    }
    if (p->rank == 4) p->extent[random_int(0, 3)] = PICK(1, 2);
}

static void make_copy(step *s) {
    ounce_copy_params p = {.element_size = PICK(1, 1, 2, 4, 4, 8), .rank = random_int(1, 4)};
    int order[4] = {0, 1, 2, 3};
    for (int i = p.rank - 1; i > 0; i--) {
        const int j = random_int(0, 1) ? random_int(0, i) : i, keep = order[i];
        order[i] = order[j], order[j] = keep;
    }
    int64_t in = 1, out = 1;
    random_extents(&p);
    for (int axis = p.rank - 1; axis >= 0; axis--) {
        p.in_stride[axis] = in;
        in *= p.extent[axis] + PICK(0, 0, 0, 2);
    }
    for (int i = p.rank - 1; i >= 0; i--) {
        p.out_stride[order[i]] = out;
        out *= p.extent[order[i]] + PICK(0, 0, 0, 3);
    }
    if (random_int(0, 3) == 0) p.in_stride[0] = 0;
    p.in_offset = random_int(0, 5), p.out_offset = random_int(0, 5);
    const size_t size = (size_t)p.element_size;
    p.fill_count = random_int(0, 1) ? out + p.out_offset : 0;
    p.fill = (uint64_t)random_bits() << 32 | random_bits();
    p.hole = p.fill_count > 0 && random_int(0, 3) == 0;
    if (p.hole) {
        out = 1;
        for (int axis = p.rank - 1; axis >= 0; axis--) {
            p.in_stride[axis] = p.out_stride[axis] = out;
            out *= p.extent[axis] + PICK(0, 1, 2);
        }
        in = out, p.fill_count = out + p.out_offset;
    }
    s->in_bytes[0] = (size_t)(in + p.in_offset) * size, s->out_bytes = (size_t)(out + p.out_offset) * size;
    s->in[0] = random_int8s(s->in_bytes[0], 0);
    s->p.copy = p;
    snprintf(s->text, sizeof s->text, "%d bytes, rank %d (%d, %d, %d, %d), fill %d, hole %d", p.element_size, p.rank,
             (int)p.extent[0], (int)p.extent[1], (int)p.extent[2], (int)p.extent[3], p.fill_count > 0, p.hole);
}

static void make_matmul(step *s) {
    ounce_matmul_params p = {.batch = random_int(1, 4), .m = random_int(1, 40), .n = random_int(1, 90)};
    p.k = random_int(1, 70);
    const int64_t size[2] = {p.m * p.k, p.k * p.n};
    int64_t *offsets = malloc((size_t)p.batch * 2 * sizeof *offsets);
    const int shared[2] = {random_int(0, 3) == 0, random_int(0, 3) == 0};
    for (int64_t i = 0; i < 2 * p.batch; i++) offsets[i] = shared[i % 2] ? 0 : i / 2 * size[i % 2];
    p.offsets = offsets;
    for (int k = 0; k < 2; k++) {
        const size_t count = (size_t)(size[k] * p.batch);
        s->in[k] = random_floats(count, 2, random_int(0, 9) == 0);
        s->in_bytes[k] = count * 4;
    }
    s->out_bytes = (size_t)(p.batch * p.m * p.n) * 4;
    s->p.matmul = p;
    snprintf(s->text, sizeof s->text, "%d pairs, %dx%d by %d", (int)p.batch, (int)p.m, (int)p.k, (int)p.n);
}

static void make_attention(step *s) {
    ounce_attention_params p = {.batch = random_int(1, 4), .m = random_int(1, 60), .n = random_int(1, 90)};
    p.k = random_int(1, 40), p.v = random_int(1, 70), p.mask_row = random_int(0, 1), p.mask_column = random_int(0, 1);
    const int64_t columns = p.mask_column ? p.n : 1;
    p.mask_row *= columns;
    const int64_t size[4] = {p.m * p.k, p.k * p.n, p.n * p.v, p.mask_row ? p.m * columns : columns};
    int64_t *offsets = malloc((size_t)p.batch * 4 * sizeof *offsets);
    for (int i = 0; i < 4; i++) {
        const int shared = random_int(0, 3) == 0;
        for (int64_t b = 0; b < p.batch; b++) offsets[4 * b + i] = shared ? 0 : b * size[i];
        if (i == 3 && random_int(0, 2) == 0) continue;
        const size_t count = (size_t)(size[i] * p.batch);
        s->in[i] = random_floats(count, 2, random_int(0, 19) == 0), s->in_bytes[i] = count * 4;
    }
    p.offsets = offsets;
    s->out_bytes = (size_t)(p.batch * p.m * p.v) * 4;
    s->p.attention = p;
    snprintf(s->text, sizeof s->text, "%d heads, %d queries of %d, %d keys, values of %d, %s mask", (int)p.batch, (int)p.m,
             (int)p.k, (int)p.n, (int)p.v, s->in[3] ? "a" : "no");
}

// Mostly one kind of numbers; scales that leave some results within the range.
static int8_t *random_operand(step *s, int i, int64_t count) {
    const int kind = random_int(0, 9);
    s->in_bytes[i] = (size_t)count;
    return s->in[i] = random_int8s((size_t)count, kind > 2 ? 0 : kind);
}

static void make_matmul_s8(step *s) {
    ounce_matmul_s8_params p = {.batch = random_int(1, 4), .m = random_int(1, 60), .n = random_int(1, 90)};
    p.k = random_int(0, 9) ? random_int(1, 70) : random_int(1, 700), p.real_out = random_int(0, 1);
    p.a_row = p.k + PICK(0, 0, 3), p.b_row = p.n + PICK(0, 0, 5), p.out_row = p.n + PICK(0, 0, 7);
    const int64_t size[3] = {p.m * p.a_row, p.k * p.b_row, p.m * p.out_row};
    int64_t *offsets = malloc((size_t)p.batch * 3 * sizeof *offsets);
    const int shared[3] = {random_int(0, 3) == 0, random_int(0, 3) == 0, 0};
    for (int64_t i = 0; i < 3 * p.batch; i++) offsets[i] = shared[i % 3] ? 0 : i / 3 * size[i % 3];
    p.offsets = offsets;
    for (int i = 0; i < 2; i++) random_operand(s, i, size[i] * p.batch);
    random_encoding(&p.out_zero, &p.out_min, &p.out_max);
    p.a_zero = PICK(0, -128, 127, random_int(-128, 127)), p.b_zero = PICK(0, 0, -128, random_int(-128, 127));
    p.scale = random_float(0.2f, 2.0f) / (80.0f * sqrtf((float)p.k));
    s->out_bytes = (size_t)(p.batch * size[2]) * (p.real_out ? 4 : 1);
    s->p.matmul_s8 = p;
    snprintf(s->text, sizeof s->text, "%d pairs, %dx%d by %d, zeros %d and %d, %s", (int)p.batch, (int)p.m, (int)p.k,
             (int)p.n, p.a_zero, p.b_zero, p.real_out ? "float" : "int8");
}

static void make_attention_s8(step *s) {
    ounce_attention_s8_params p = {.batch = random_int(1, 4), .m = random_int(1, 60), .n = random_int(1, 90)};
    p.k = random_int(1, 40), p.v = random_int(1, 70), p.mask_row = random_int(0, 1), p.mask_column = random_int(0, 1);
    p.q_row = p.k + PICK(0, 4), p.k_row = p.n + PICK(0, 4), p.v_row = p.v + PICK(0, 4), p.out_row = p.v + PICK(0, 4);
    const int64_t columns = p.mask_column ? p.n : 1;
    p.mask_row *= columns, p.real_out = random_int(0, 1);
    const int64_t size[5] = {p.m * p.q_row, p.k * p.k_row, p.n * p.v_row, p.mask_row ? p.m * columns : columns,
                             p.m * p.out_row};
    int64_t *offsets = malloc((size_t)p.batch * 5 * sizeof *offsets);
    for (int i = 0; i < 5; i++) {
        const int shared = i < 4 && random_int(0, 3) == 0;
        for (int64_t b = 0; b < p.batch; b++) offsets[5 * b + i] = shared ? 0 : b * size[i];
        if (i < 3) random_operand(s, i, size[i] * p.batch);
        if (i != 3 || random_int(0, 2) == 0) continue;
        const size_t count = (size_t)(size[i] * p.batch);
        s->in[i] = random_floats(count, 2, random_int(0, 3) == 0), s->in_bytes[i] = count * 4;
        if (random_int(0, 3) == 0) ((float *)s->in[i])[random_int(0, (int)count - 1)] = -INFINITY;
    }
    p.offsets = offsets;
    p.q_zero = PICK(0, random_int(-128, 127)), p.k_zero = PICK(0, random_int(-128, 127));
    p.v_zero = PICK(0, random_int(-128, 127)), p.out_zero = PICK(0, random_int(-128, 127));
    p.score_scale = random_float(0.01f, 3.0f) / (4000.0f * sqrtf((float)p.k));
    p.value_scale = 0.02f / 256, p.out_scale = random_float(0.002f, 0.03f);
    s->out_bytes = (size_t)(p.batch * size[4]) * (p.real_out ? 4 : 1);
    s->p.attention_s8 = p;
    snprintf(s->text, sizeof s->text, "%d heads, %d queries of %d, %d keys, values of %d, %s mask, %s", (int)p.batch,
             (int)p.m, (int)p.k, (int)p.n, (int)p.v, s->in[3] ? "a" : "no", p.real_out ? "float" : "int8");
}

static void make_quantize(step *s) {
    const size_t count = (size_t)random_int(1, 9000);
    const int channels = random_int(0, 1) ? 1 : random_int(1, 40);
    float *scales = malloc((size_t)channels * 4);
    int32_t *zeros = malloc((size_t)channels * 4);
    for (int c = 0; c < channels; c++) scales[c] = random_float(0.01f, 0.2f), zeros[c] = random_int(-128, 127);
    s->p.quantize = (ounce_quantize_params){(int64_t)count, channels, scales, zeros};
    const int to_int8 = s->family == OUNCE_QUANTIZE;
    s->in[0] = to_int8 ? random_floats(count, 12, random_int(0, 1)) : random_int8s(count, 0);
    for (size_t i = 0; i < count && to_int8; i += 7) {  // ties
        float v = scales[i % (size_t)channels] * ((float)(i % 64) + 0.5f);
        for (int k = random_int(0, 2); k > 0; k--) v = nextafterf(v, i & 1 ? INFINITY : 0);
        ((float *)s->in[0])[i] = v;
    }
    s->in_bytes[0] = count * (to_int8 ? 4 : 1), s->out_bytes = count * (to_int8 ? 1 : 4);
    snprintf(s->text, sizeof s->text, "%d elements, %d channels", (int)count, channels);
}

static void make_layernorm(step *s) {
    const ounce_layernorm_params p = {random_int(1, 5), random_int(1, random_int(0, 1) ? 40 : 1000),
                                      PICK(0, 1) ? 1e-5f : 1e-12f};
    const size_t n = (size_t)p.columns, count = n * (size_t)p.rows;
    s->p.layernorm = p;
    s->in[0] = random_floats(count, 20, random_int(0, 9) == 0), s->in_bytes[0] = s->out_bytes = count * 4;
    for (int k = 1; k < 3; k++) {
        if (random_int(0, 2) == 0) continue;
        s->in[k] = random_floats(n, 3, 0), s->in_bytes[k] = n * 4;
    }
    snprintf(s->text, sizeof s->text, "%d rows of %d, %s scale, %s bias", (int)p.rows, (int)n, s->in[1] ? "a" : "no",
             s->in[2] ? "a" : "no");
}

static void make_recurrent(step *s) {
    const ounce_recurrent_params p = {random_int(0, 1), random_int(0, 1), random_int(0, 1), random_int(1, 20),
                                      random_int(1, 3), random_int(1, 40), random_int(1, 50)};
    const size_t rows = (size_t)((p.is_lstm ? 4 : 3) * p.hidden), state = (size_t)(p.batch * p.hidden);
    const size_t in = (size_t)(p.time * p.batch * p.width);
    s->p.recurrent = p;
    s->has_weights = 1;
    s->weight_bytes = rows * (size_t)(p.width + p.hidden) * 4;
    s->weights.weights = random_floats(s->weight_bytes / 4, 0.5f, 0);
    if (random_int(0, 3)) s->weights.bias = random_floats(2 * rows, 1, 0);
    s->in[0] = random_floats(in, 2, random_int(0, 19) == 0), s->in_bytes[0] = in * 4;
    for (int k = 1; k < 3; k++) {
        if (random_int(0, 1)) s->in[k] = random_floats(state, 1, 0), s->in_bytes[k] = state * 4;
    }
    s->out_bytes = (size_t)(p.time + 1 + p.is_lstm) * state * 4;
    snprintf(s->text, sizeof s->text, "%s, %d steps of %d, batch %d, %d hidden, reversed %d, linear %d",
             p.is_lstm ? "lstm" : "gru", (int)p.time, (int)p.width, (int)p.batch, (int)p.hidden, p.reversed,
             p.linear_before_reset);
}

// Places and weights of bilinear, bicubic and of any other interpolation; with taps left out, and weights of 1.
static ounce_resize_axis random_axis(int64_t in, int taps, int moved) {
    ounce_resize_axis axis = {.in = in, .out = random_int(1, 24), .taps = taps};
    const size_t count = (size_t)(axis.out * taps);
    int32_t *places = malloc(count * sizeof *places);
    float *weights = moved ? NULL : malloc(count * sizeof *weights);
    for (size_t i = 0; i < count; i++) {
        places[i] = random_int(0, (int)in - 1);
        if (weights) weights[i] = random_int(0, 3) ? random_float(-0.2f, 1) : (float)random_int(0, 1);
    }
    axis.places = places, axis.weights = weights;
    return axis;
}

static void make_resize(step *s) {
    const int is_float = s->family == OUNCE_RESIZE_F32, moved = random_int(0, 2) == 0;
    ounce_resize_params p = {.outer = random_int(1, 3), .inner = PICK(1, 1, 2, 3, 4, 7, 8, 16, 17, 33, 64, 100, 300)};
    p.axis[0] = random_axis(random_int(1, 9), moved ? 1 : PICK(1, 2, 2, 4, 7), moved);
    if (random_int(0, 3)) p.axis[1] = random_axis(random_int(1, 30), moved ? 1 : PICK(1, 2, 2, 4, 7), moved);
    p.scale = random_float(0.3f, 3), p.in_zero = random_int(-128, 127), p.out_zero = random_int(-128, 127);
    const int64_t columns = p.axis[1].taps ? p.axis[1].in : 1, out_columns = p.axis[1].taps ? p.axis[1].out : 1;
    const size_t in = (size_t)(p.outer * p.axis[0].in * columns * p.inner), size = is_float ? 4 : 1;
    s->p.resize = p;
    s->in[0] = is_float ? random_floats(in, 9, random_int(0, 3) == 0) : random_int8s(in, 0);
    s->in_bytes[0] = in * size, s->out_bytes = (size_t)(p.outer * p.axis[0].out * out_columns * p.inner) * size;
    snprintf(s->text, sizeof s->text, "%d x %dx%d -> %dx%d, %d inner, %d by %d taps, moved %d", (int)p.outer,
             (int)p.axis[0].in, (int)columns, (int)p.axis[0].out, (int)out_columns, (int)p.inner, (int)p.axis[0].taps,
             (int)p.axis[1].taps, moved);
}

step *make_step(ounce_family family) {
    if (is_conv(family)) return make_random_conv(family);
    step *s = calloc(1, sizeof *s);
    s->family = family;
    const size_t count = (size_t)(random_int(0, 1) ? random_int(1, 200) : random_int(1, 9000));
    switch (family) {
    case OUNCE_MAXPOOL_F32:
    case OUNCE_MAXPOOL_S8:
    case OUNCE_AVGPOOL_F32:
    case OUNCE_AVGPOOL_S8: make_pool(s); break;
    case OUNCE_BINARY_F32: make_binary(s); break;
    case OUNCE_COPY: make_copy(s); break;
    case OUNCE_MATMUL_F32: make_matmul(s); break;
    case OUNCE_ATTENTION_F32: make_attention(s); break;
    case OUNCE_MATMUL_S8: make_matmul_s8(s); break;
    case OUNCE_ATTENTION_S8: make_attention_s8(s); break;
    case OUNCE_LAYERNORM_F32: make_layernorm(s); break;
    case OUNCE_RECURRENT_F32: make_recurrent(s); break;
    case OUNCE_RESIZE_F32:
    case OUNCE_RESIZE_S8: make_resize(s); break;
    case OUNCE_QUANTIZE:
    case OUNCE_DEQUANTIZE: make_quantize(s); break;
    case OUNCE_ADD_S8: {
        s->p.add = random_addition(random_int(1, 30));
        s->p.add.count = (int64_t)count;
        for (int k = 0; k < 2; k++) s->in[k] = random_int8s(count, 0), s->in_bytes[k] = count;
        s->out_bytes = count;
        break;
    }
    case OUNCE_UNARY_F32:
        s->p.unary = (ounce_unary_params){random_int(0, OUNCE_GELU_TANH), (int64_t)count,
                                            random_float(0, 0.4f), 0.5f};
        s->in[0] = random_floats(count, random_int(0, 1) ? 3 : 100, random_int(0, 1));
        s->in_bytes[0] = s->out_bytes = count * 4;
        break;
    case OUNCE_LUT_S8:
        s->p.lut.count = (int64_t)count;
        for (int i = 0; i < 256; i++) s->p.lut.table[i] = (int8_t)random_bits();
        s->in[0] = random_int8s(count, 0), s->in_bytes[0] = s->out_bytes = count;
        break;
    default: {
        const int is_float = family == OUNCE_SOFTMAX_F32;
        const ounce_softmax_params p = {random_int(1, 5), random_int(1, random_int(0, 1) ? 30 : 1000),
                                        random_float(0.01f, 0.3f),
                                        1.0f / 256, -128};
        const size_t n = (size_t)(p.rows * p.columns);
        s->p.softmax = p;
        s->in[0] = is_float ? random_floats(n, 20, random_int(0, 9) == 0) : random_int8s(n, 0);
        s->in_bytes[0] = s->out_bytes = n * (is_float ? 4 : 1);
    }
    }
    if (!s->text[0]) snprintf(s->text, sizeof s->text, "%d elements, op %d", (int)count,
                              s->family == OUNCE_UNARY_F32 ? s->p.unary.op : 0);
    return s;
}

void free_step(step *s) {
    free(s->in[0]);
    free(s->in[1]);
    free(s->in[2]);
    free(s->in[3]);
    free((void *)(uintptr_t)s->weights.weights);
    free((void *)(uintptr_t)s->weights.bias);
    free((void *)(uintptr_t)s->weights.scale);
    if (s->family == OUNCE_ATTENTION_F32) free((void *)(uintptr_t)s->p.attention.offsets);
    if (s->family == OUNCE_MATMUL_F32) free((void *)(uintptr_t)s->p.matmul.offsets);
    for (int i = 0; i < 2 && (s->family == OUNCE_RESIZE_F32 || s->family == OUNCE_RESIZE_S8); i++) {
        free((void *)(uintptr_t)s->p.resize.axis[i].places);
        free((void *)(uintptr_t)s->p.resize.axis[i].weights);
    }
    if (s->family == OUNCE_MATMUL_S8) free((void *)(uintptr_t)s->p.matmul_s8.offsets);
    if (s->family == OUNCE_ATTENTION_S8) free((void *)(uintptr_t)s->p.attention_s8.offsets);
    if (s->family == OUNCE_QUANTIZE || s->family == OUNCE_DEQUANTIZE) {
        free((void *)(uintptr_t)s->p.quantize.scales);
        free((void *)(uintptr_t)s->p.quantize.zeros);
    }
    free(s);
}
