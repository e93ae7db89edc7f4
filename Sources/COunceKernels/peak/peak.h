// Loops that show what a CPU can do at most: multiply-accumulates in registers alone, as many at a time as the latency asks
// for. A file of an instruction set defines one with PEAK_LOOP: the vector type, the register constraint of the compiler's
// inline assembly, and the step from an accumulator to the next. A factor changes each time as far as the compiler knows, lest a
// product of its own be formed once for all rounds.
#ifndef OUNCE_PEAK_H
#define OUNCE_PEAK_H

#include "../target.h"

#define PEAK_ACCUMULATORS 12

#define PEAK_LOOP(name, vector, accumulators, constraint, macs, step)                  \
    int64_t name(int64_t rounds) {                                                     \
        vector a = {0}, b = {0}, acc[accumulators] = {{0}};                            \
        __asm__ volatile("" : "+" constraint(a), "+" constraint(b));                   \
        for (int64_t r = 0; r < rounds; r++) {                                         \
            _Pragma("clang loop unroll(full)") for (int i = 0; i < accumulators; i++) { \
                acc[i] = step(acc[i], a, b);                                           \
                __asm__ volatile("" : "+" constraint(acc[i]), "+" constraint(a));      \
            }                                                                          \
        }                                                                              \
        return rounds * accumulators * (macs);                                         \
    }

int64_t ounce_peak_f32_avx2(int64_t rounds);
int64_t ounce_peak_s8_avx2(int64_t rounds);
int64_t ounce_peak_s8_avxvnni(int64_t rounds);
int64_t ounce_peak_f32_avx512vnni(int64_t rounds);
int64_t ounce_peak_s8_avx512vnni(int64_t rounds);
int64_t ounce_peak_s8_amx(int64_t rounds);
int64_t ounce_peak_f32_neon(int64_t rounds);
int64_t ounce_peak_s8_neon(int64_t rounds);
int64_t ounce_peak_s8_neondot(int64_t rounds);
int64_t ounce_peak_s8_i8mm(int64_t rounds);
int64_t ounce_peak_f32_rvv(int64_t rounds);
int64_t ounce_peak_s8_rvv(int64_t rounds);

#endif
