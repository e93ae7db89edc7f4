// What the parts of the kernel tests share: random numbers, steps and the naive reference.
#ifndef KERNEL_TESTS_H
#define KERNEL_TESTS_H

#include "ounce_kernels.h"

// One step of a plan with its operands: what a kernel is run on and compared with.
typedef struct {
    ounce_family family;
    union {
        ounce_conv_params conv;
        ounce_pool_params pool;
        ounce_binary_params binary;
        ounce_add_s8_params add;
        ounce_unary_params unary;
        ounce_lut_params lut;
        ounce_softmax_params softmax;
        ounce_quantize_params quantize;
        ounce_copy_params copy;
        ounce_matmul_params matmul;
        ounce_layernorm_params layernorm;
        ounce_attention_params attention;
        ounce_recurrent_params recurrent;
        ounce_resize_params resize;
        ounce_matmul_s8_params matmul_s8;
        ounce_attention_s8_params attention_s8;
    } p;
    ounce_conv_weights weights;
    size_t weight_bytes;
    int has_weights;
    size_t in_bytes[4], out_bytes;
    void *in[4];  // NULL: not given
    char text[200];
} step;

// Weights that some kernels are for: zero in most runs of four or one by one, of few bits, or of +-1 (then the inputs of an
// int8 convolution are -1, 0 and 1).
typedef enum {
    WEIGHTS_ANY = 0,
    WEIGHTS_SPARSE_BLOCKS,
    WEIGHTS_SPARSE,
    WEIGHTS_4_BITS,
    WEIGHTS_2_BITS,
    WEIGHTS_1_BIT,
    WEIGHTS_KINDS
} weights_kind;

uint32_t random_bits(void);
int random_int(int low, int high);  // both included
float random_float(float low, float high);

// A random step of the family, with operands. Freed by free_step.
step *make_step(ounce_family family);
step *make_conv_step(ounce_family family, ounce_conv_params p);
// Replaces the weights, and inputs where the kind has some.
void set_weights(step *s, weights_kind kind);
void free_step(step *s);
int is_conv(ounce_family family);

// Writes the output elements by the contract, and nothing else; returns 0 where the results are off the mark in double.
int reference(const step *s, void *out);
int has_float_output(const step *s);

// Largest error of the polynomials in units in the last place, against libm in double.
int check_polynomials(void);

void benchmark(void);

#endif
