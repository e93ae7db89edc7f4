#include "peak.h"

int64_t ounce_peak_macs(ounce_isa isa, int is_float, int64_t rounds) {
    switch (isa) {
#if defined(__x86_64__)
    case OUNCE_ISA_AVX2: return is_float ? ounce_peak_f32_avx2(rounds) : ounce_peak_s8_avx2(rounds);
    case OUNCE_ISA_AVXVNNI: return is_float ? ounce_peak_f32_avx2(rounds) : ounce_peak_s8_avxvnni(rounds);
    case OUNCE_ISA_AVX512VNNI:
        return is_float ? ounce_peak_f32_avx512vnni(rounds) : ounce_peak_s8_avx512vnni(rounds);
    case OUNCE_ISA_AMX: return is_float ? ounce_peak_f32_avx512vnni(rounds) : ounce_peak_s8_amx(rounds);
#elif defined(__aarch64__)
    case OUNCE_ISA_NEON: return is_float ? ounce_peak_f32_neon(rounds) : ounce_peak_s8_neon(rounds);
    case OUNCE_ISA_NEONDOT: return is_float ? ounce_peak_f32_neon(rounds) : ounce_peak_s8_neondot(rounds);
    case OUNCE_ISA_I8MM: return is_float ? ounce_peak_f32_neon(rounds) : ounce_peak_s8_i8mm(rounds);
#endif
    default: return 0;
    }
}

uint64_t ounce_read_words(const uint64_t *words, int64_t count) {
    uint64_t sum[8] = {0};
    for (int64_t i = 0; i + 8 <= count; i += 8) {
        for (int lane = 0; lane < 8; lane++) sum[lane] ^= words[i + lane];
    }
    uint64_t all = 0;
    for (int lane = 0; lane < 8; lane++) all ^= sum[lane];
    return all;
}
