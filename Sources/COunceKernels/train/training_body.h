// The loops of training and their table; compiled once for each instruction set.
#include "elementwise_body.h"
#include "products_body.h"
#include "update_body.h"

#define TRAINING_TABLE(name, set)                                                                                   \
    const ounce_training_kernels name = {                                                                           \
        .isa = set, .gemm = gemm, .weight_gradient = weight_gradient,                                               \
        .depthwise_weight_gradient = depthwise_weight_gradient,                                                     \
        .depthwise_input_gradient = depthwise_input_gradient, .col2im = col2im, .transpose = transpose, .add = add, \
        .mask = mask, .bias_clamp = bias_clamp, .column_sums = column_sums, .unary = ounce_unary_run,               \
        .unary_gradient = unary_gradient, .binary = binary, .binary_gradient = binary_gradient,                     \
        .softmax = softmax, .softmax_gradient = softmax_gradient, .max_pool = max_pool,                             \
        .average_pool = average_pool, .average_pool_gradient = average_pool_gradient, .moments = moments,           \
        .affine = affine, .gradient_sums = gradient_sums, .affine_gradient = affine_gradient,                       \
        .squared_norm = squared_norm, .sgd = sgd, .adamw = adamw, .fake_quantise = fake_quantise,                   \
        .fake_quantise_gradient = fake_quantise_gradient,                                                           \
    };
