#ifndef OUNCE_TRAINING_INTERNAL_H
#define OUNCE_TRAINING_INTERNAL_H

#include "../include/ounce_training.h"

extern const ounce_training_kernels ounce_training_portable;
#if defined(__x86_64__)
extern const ounce_training_kernels ounce_training_avx2, ounce_training_avx512;
#endif

#endif
