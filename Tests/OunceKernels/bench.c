// Throughput of the convolution kernels on shapes of small models, one thread, data in cache.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "kernel_tests.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *aligned(size_t bytes) { return aligned_alloc(64, (bytes + 127) / 64 * 64); }

typedef struct {
    const char *name;
    int in_c, out_c, h, w, k, stride, depthwise;
    weights_kind kind;
} shape;

static void run_shape(const shape *sh, int is_float) {
    ounce_conv_params p = {.batch = 1, .in_c = sh->in_c, .out_c = sh->out_c, .out_h = sh->h, .out_w = sh->w,
        .kernel_h = sh->k, .kernel_w = sh->k, .stride_h = sh->stride, .stride_w = sh->stride, .dilation_h = 1,
        .dilation_w = 1, .groups = sh->depthwise ? sh->in_c : 1};
    p.in_pixel = p.in_c, p.in_row = p.in_pixel * ((p.out_w - 1) * sh->stride + sh->k);
    p.in_image = p.in_row * ((p.out_h - 1) * sh->stride + sh->k);
    p.out_pixel = p.out_c, p.out_row = p.out_pixel * p.out_w, p.out_image = p.out_row * p.out_h;
    const ounce_family family = sh->depthwise ? (is_float ? OUNCE_DWCONV_F32 : OUNCE_DWCONV_S8)
                                              : (is_float ? OUNCE_CONV_F32 : OUNCE_CONV_S8);
    step *s = make_conv_step(family, p);
    set_weights(s, sh->kind);
    s->p.conv.has_residual = 0;
    char *in = aligned(s->in_bytes[0] + OUNCE_SLACK), *out = aligned(s->out_bytes);
    memcpy(in, s->in[0], s->in_bytes[0]);
    const double operations = 2.0 * p.out_h * p.out_w * p.out_c * sh->k * sh->k * p.in_c / p.groups;
    size_t count;
    const ounce_kernel *kernels = ounce_kernels(&count);
    for (size_t n = 0; n < count; n++) {
        const ounce_kernel *k = &kernels[n];
        if (k->family != family || !(ounce_cpu_isas() & 1u << k->isa)) continue;
        if (k->supports && !k->supports(&s->p, &s->weights)) continue;
        void *packed = aligned(k->packed_size(&s->p, &s->weights));
        void *scratch = aligned(k->scratch_size ? k->scratch_size(&s->p) : 1);
        k->pack(&s->p, &s->weights, packed);
        const ounce_call call = {&s->p, packed, {in, NULL}, out, scratch};
        const int64_t units = k->units(&s->p);
        double best = 1e9;
        for (int round = 0; round < 20; round++) {
            const int repeats = k->isa == OUNCE_ISA_SCALAR ? 1 : 1 + (int)(2e7 / operations);
            const double start = now();
            for (int i = 0; i < repeats; i++) k->run(&call, 0, units);
            best = fmin(best, (now() - start) / repeats);
            if (k->isa == OUNCE_ISA_SCALAR && round == 2) break;
        }
        printf("%-24s %-24s %9.2f us %8.1f GOP/s\n", sh->name, k->name, best * 1e6, operations / best * 1e-9);
        free(packed), free(scratch);
    }
    free(in), free(out);
    free_step(s);
}

// Every kernel on one step; GB/s are of what it reads and writes once.
static void run_step(const char *name, step *s) {
    char *in[4], *out = aligned(s->out_bytes);
    for (int i = 0; i < 4; i++) {
        in[i] = aligned(s->in_bytes[i] + OUNCE_SLACK);
        if (s->in_bytes[i]) memcpy(in[i], s->in[i], s->in_bytes[i]);
    }
    size_t count;
    const ounce_kernel *kernels = ounce_kernels(&count);
    for (size_t n = 0; n < count; n++) {
        const ounce_kernel *k = &kernels[n];
        if (k->family != s->family || !(ounce_cpu_isas() & 1u << k->isa)) continue;
        void *scratch = aligned(k->scratch_size ? k->scratch_size(&s->p) : 1);
        void *packed = aligned(k->packed_size ? k->packed_size(&s->p, &s->weights) : 1);
        if (k->pack) k->pack(&s->p, &s->weights, packed);
        ounce_call call = {&s->p, packed, {in[0], in[1]}, out, scratch};
        for (int i = 2; i < 4; i++) call.in[i] = s->in[i] ? in[i] : NULL;
        double best = 1e9;
        for (int round = 0; round < 50; round++) {
            const int repeats = best < 1e-4 ? 20 : 1;
            const double start = now();
            for (int i = 0; i < repeats; i++) k->run(&call, 0, k->units(&s->p));
            best = fmin(best, (now() - start) / repeats);
        }
        const double bytes = (double)(s->in_bytes[0] + s->in_bytes[1] + s->in_bytes[2] + s->in_bytes[3] + s->out_bytes);
        printf("%-24s %-24s %9.2f us %8.1f GB/s\n", name, k->name, best * 1e6, bytes / best * 1e-9);
        free(scratch), free(packed);
    }
    for (int i = 0; i < 4; i++) free(in[i]);
    free(out);
    free_step(s);
}

// The other families: some step of middling size.
static void run_family(ounce_family family) {
    step *s = make_step(family);
    while (s->out_bytes < 3000 || s->out_bytes > 20000) free_step(s), s = make_step(family);
    run_step(s->text, s);
}

static step *make_plain_step(ounce_family family, size_t in, size_t in_element, size_t out_bytes, int operands) {
    step *s = calloc(1, sizeof *s);
    s->family = family, s->out_bytes = out_bytes;
    for (int k = 0; k < operands; k++) {
        s->in_bytes[k] = in * in_element, s->in[k] = malloc(s->in_bytes[k]);
        for (size_t i = 0; i < in; i++) {
            if (in_element == 1) ((int8_t *)s->in[k])[i] = (int8_t)random_bits();
            else ((float *)s->in[k])[i] = random_float(-9, 9);
        }
    }
    return s;
}

static void run_pool(const char *name, ounce_family family, int h, int channels, int kernel, int stride) {
    const int out = h / stride, is_float = family == OUNCE_MAXPOOL_F32 || family == OUNCE_AVGPOOL_F32;
    const size_t in_count = (size_t)(h * h * channels), out_count = (size_t)(out * out * channels), size = is_float ? 4 : 1;
    step *s = make_plain_step(family, in_count, size, out_count * size, 1);
    s->p.pool = (ounce_pool_params){.batch = 1, .in_h = h, .in_w = h, .channels = channels, .out_h = out, .out_w = out,
        .kernel_h = kernel, .kernel_w = kernel, .stride_h = stride, .stride_w = stride, .dilation_h = 1, .dilation_w = 1,
        .pad_top = (kernel - 1) / 2, .pad_left = (kernel - 1) / 2, .in_pixel = channels, .in_row = h * channels,
        .in_image = (int64_t)in_count, .out_pixel = channels, .out_row = out * channels, .out_image = (int64_t)out_count,
        .min = -INFINITY, .max = INFINITY, .out_min = -128, .out_max = 127, .scale = 1};
    run_step(name, s);
}

// Twice as high and wide, half pixel centres, or each pixel four times.
static void run_resize(const char *name, ounce_family family, int h, int channels, int moved) {
    const size_t in_count = (size_t)(h * h * channels), size = family == OUNCE_RESIZE_F32 ? 4 : 1;
    step *s = make_plain_step(family, in_count, size, in_count * 4 * size, 1);
    ounce_resize_params p = {.outer = 1, .inner = channels, .scale = 1};
    for (int axis = 0; axis < 2; axis++) {
        int32_t *places = malloc((size_t)h * 4 * sizeof *places);
        float *weights = moved ? NULL : malloc((size_t)h * 4 * sizeof *weights);
        for (int o = 0; o < 2 * h; o++) {
            if (moved) {
                places[o] = o / 2;
                continue;
            }
            places[2 * o] = o > 0 ? (o - 1) / 2 : 0, places[2 * o + 1] = o + 1 < 2 * h ? (o + 1) / 2 : h - 1;
            weights[2 * o] = o % 2 ? 0.75f : 0.25f, weights[2 * o + 1] = 1 - weights[2 * o];
        }
        p.axis[axis] = (ounce_resize_axis){h, 2 * h, moved ? 1 : 2, places, weights};
    }
    s->p.resize = p;
    run_step(name, s);
}

static void run_moving(void) {
    run_pool("max 3x3/2 112x112x64", OUNCE_MAXPOOL_S8, 112, 64, 3, 2);
    run_pool("max 3x3/2 112x112x64", OUNCE_MAXPOOL_F32, 112, 64, 3, 2);
    run_pool("max 2x2/2 32x32x16", OUNCE_MAXPOOL_S8, 32, 16, 2, 2);
    run_pool("max 3x3 28x28x192", OUNCE_MAXPOOL_S8, 28, 192, 3, 1);
    const int sizes[] = {16384, 200704};
    for (int i = 0; i < 2; i++) {
        const size_t n = (size_t)sizes[i];
        char name[40];
        snprintf(name, sizeof name, "%d elements", sizes[i]);
        step *s = make_plain_step(OUNCE_QUANTIZE, n, 4, n, 1);
        float *scale = malloc(4);
        int32_t *zero = malloc(4);
        *scale = 0.07f, *zero = 3;
        s->p.quantize = (ounce_quantize_params){(int64_t)n, 1, scale, zero};
        run_step(name, s);
        s = make_plain_step(OUNCE_ADD_S8, n, 1, n, 2);
        s->p.add = (ounce_add_s8_params){(int64_t)n, {700000, 1000000}, 1 << 19, 20, 3, -128, 127};
        run_step(name, s);
    }
    run_resize("linear 2x 40x40x64", OUNCE_RESIZE_F32, 40, 64, 0);
    run_resize("linear 2x 40x40x64", OUNCE_RESIZE_S8, 40, 64, 0);
    run_resize("nearest 2x 40x40x64", OUNCE_RESIZE_F32, 40, 64, 1);
    run_resize("nearest 2x 40x40x64", OUNCE_RESIZE_S8, 40, 64, 1);
    run_resize("linear 2x 64x64x1", OUNCE_RESIZE_F32, 64, 1, 0);
}

void benchmark(void) {
    run_moving();
    for (int family = 0; family < OUNCE_FAMILY_COUNT; family++) {
        if (!is_conv((ounce_family)family)) run_family((ounce_family)family);
    }
    const shape shapes[] = {
        {"1x1 64->64 25x5", 64, 64, 25, 5, 1, 1, 0, WEIGHTS_ANY},
        {"3x3 16->16 32x32", 16, 16, 32, 32, 3, 1, 0, WEIGHTS_ANY},
        {"3x3 3->16 32x32", 3, 16, 32, 32, 3, 1, 0, WEIGHTS_ANY},
        {"3x3 64->64 8x8", 64, 64, 8, 8, 3, 1, 0, WEIGHTS_ANY},
        {"1x1 128->256 3x3", 128, 256, 3, 3, 1, 1, 0, WEIGHTS_ANY},
        {"1x1 16->32 24x24", 16, 32, 24, 24, 1, 1, 0, WEIGHTS_ANY},
        {"FC 640->128", 640, 128, 1, 1, 1, 1, 0, WEIGHTS_ANY},
        {"FC 128->128", 128, 128, 1, 1, 1, 1, 0, WEIGHTS_ANY},
        {"dw 3x3 C=64 25x5", 64, 64, 25, 5, 3, 1, 1, WEIGHTS_ANY},
        {"dw 3x3 C=8 48x48", 8, 8, 48, 48, 3, 1, 1, WEIGHTS_ANY},
        {"dw 3x3/2 C=16 24x24", 16, 16, 24, 24, 3, 2, 1, WEIGHTS_ANY},
        {"dw 3x3 C=128 6x6", 128, 128, 6, 6, 3, 1, 1, WEIGHTS_ANY},
        {"dw 3x3 C=256 3x3", 256, 256, 3, 3, 3, 1, 1, WEIGHTS_ANY},
        // Layers of resnet32 and mnist with four of five 1x4 blocks zero.
        {"3x3 16->16 32x32 sparse", 16, 16, 32, 32, 3, 1, 0, WEIGHTS_SPARSE_BLOCKS},
        {"3x3 32->32 16x16 sparse", 32, 32, 16, 16, 3, 1, 0, WEIGHTS_SPARSE_BLOCKS},
        {"3x3 64->64 8x8 sparse", 64, 64, 8, 8, 3, 1, 0, WEIGHTS_SPARSE_BLOCKS},
        {"3x3 32->64/2 8x8 sparse", 32, 64, 8, 8, 3, 2, 0, WEIGHTS_SPARSE_BLOCKS},
        {"5x5 8->16 14x14 sparse", 8, 16, 14, 14, 5, 1, 0, WEIGHTS_SPARSE_BLOCKS},
        {"1x1 64->64 25x5 sparse", 64, 64, 25, 5, 1, 1, 0, WEIGHTS_SPARSE_BLOCKS},
        {"FC 640->128 sparse", 640, 128, 1, 1, 1, 1, 0, WEIGHTS_SPARSE_BLOCKS},
        {"3x3 32->32 16x16 single", 32, 32, 16, 16, 3, 1, 0, WEIGHTS_SPARSE},
        {"3x3 64->64 8x8 +-1", 64, 64, 8, 8, 3, 1, 0, WEIGHTS_1_BIT},
        {"3x3 32->32 16x16 +-1", 32, 32, 16, 16, 3, 1, 0, WEIGHTS_1_BIT},
        {"3x3 16->16 32x32 +-1", 16, 16, 32, 32, 3, 1, 0, WEIGHTS_1_BIT},
        {"1x1 128->128 8x8 +-1", 128, 128, 8, 8, 1, 1, 0, WEIGHTS_1_BIT},
        {"FC 1024->1024 +-1", 1024, 1024, 1, 1, 1, 1, 0, WEIGHTS_1_BIT},
        {"FC 1024->1024 4 bits", 1024, 1024, 1, 1, 1, 1, 0, WEIGHTS_4_BITS},
        {"FC 4096->4096 4 bits", 4096, 4096, 1, 1, 1, 1, 0, WEIGHTS_4_BITS},
        {"FC 1024->1024 2 bits", 1024, 1024, 1, 1, 1, 1, 0, WEIGHTS_2_BITS},
        {"FC 4096->4096 2 bits", 4096, 4096, 1, 1, 1, 1, 0, WEIGHTS_2_BITS},
        {"3x3 32->32 16x16 4 bits", 32, 32, 16, 16, 3, 1, 0, WEIGHTS_4_BITS},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        run_shape(&shapes[i], 1);
        run_shape(&shapes[i], 0);
    }
}
