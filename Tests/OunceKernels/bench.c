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

// The other families: some step of middling size.
static void run_family(ounce_family family) {
    step *s = make_step(family);
    while (s->out_bytes < 3000 || s->out_bytes > 20000) free_step(s), s = make_step(family);
    char *in[4], *out = aligned(s->out_bytes);
    for (int i = 0; i < 4; i++) {
        in[i] = aligned(s->in_bytes[i] + OUNCE_SLACK);
        if (s->in_bytes[i]) memcpy(in[i], s->in[i], s->in_bytes[i]);
    }
    size_t count;
    const ounce_kernel *kernels = ounce_kernels(&count);
    for (size_t n = 0; n < count; n++) {
        const ounce_kernel *k = &kernels[n];
        if (k->family != family || !(ounce_cpu_isas() & 1u << k->isa)) continue;
        void *scratch = aligned(k->scratch_size ? k->scratch_size(&s->p) : 1);
        ounce_call call = {&s->p, NULL, {in[0], in[1]}, out, scratch};
        for (int i = 2; i < 4; i++) call.in[i] = s->in[i] ? in[i] : NULL;
        double best = 1e9;
        for (int round = 0; round < 100; round++) {
            const double start = now();
            for (int i = 0; i < 20; i++) k->run(&call, 0, k->units(&s->p));
            best = fmin(best, (now() - start) / 20);
        }
        printf("%-24s %9.2f us %8.3f ns/byte out  (%s)\n", k->name, best * 1e6, best * 1e9 / (double)s->out_bytes,
            s->text);
        free(scratch);
    }
    for (int i = 0; i < 4; i++) free(in[i]);
    free(out);
    free_step(s);
}

void benchmark(void) {
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
