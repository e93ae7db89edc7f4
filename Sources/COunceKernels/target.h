// Code for instruction sets beyond the baseline stands between TARGET(...) and TARGET_END. System headers and the
// headers of this module whose functions are not inline come before.
#ifndef OUNCE_TARGET_H
#define OUNCE_TARGET_H

#include "kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#elif defined(__riscv)
#include <riscv_vector.h>
#endif

#define TARGET_PRAGMA(text) _Pragma(#text)
#define TARGET(features) TARGET_PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define TARGET_END _Pragma("clang attribute pop")


#endif
