#include "../include/ounce_kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>

// The register state that the operating system saves (XCR0).
static uint64_t saved_state(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

uint32_t ounce_cpu_isas(void) {
    uint32_t isas = 1u << OUNCE_ISA_SCALAR, a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return isas;
    const uint32_t fma = 1u << 12, osxsave = 1u << 27, avx = 1u << 28;
    if ((c & (fma | osxsave | avx)) != (fma | osxsave | avx)) return isas;
    const uint64_t state = saved_state(), ymm = 0x6, zmm = 0xE6;
    if ((state & ymm) != ymm || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return isas;
    const uint32_t leaves = a, features_b = b, features_c = c;
    if (!(features_b & 1u << 5)) return isas;
    isas |= 1u << OUNCE_ISA_AVX2;
    if (leaves >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1u << 4)) isas |= 1u << OUNCE_ISA_AVXVNNI;
    const uint32_t f = 1u << 16, dq = 1u << 17, bw = 1u << 30, vl = 1u << 31, all = f | dq | bw | vl, vnni = 1u << 11;
    if ((features_b & all) == all && (features_c & vnni) && (state & zmm) == zmm) isas |= 1u << OUNCE_ISA_AVX512VNNI;
    const uint32_t vbmi = 1u << 1, vpopcntdq = 1u << 14, bytes = vbmi | vpopcntdq;
    if ((isas & 1u << OUNCE_ISA_AVX512VNNI) && (features_c & bytes) == bytes) isas |= 1u << OUNCE_ISA_AVX512POPCNT;
    return isas;
}

void ounce_pause(void) { __asm__ volatile("pause" ::: "memory"); }

#elif defined(__aarch64__)
#include <sys/auxv.h>

uint32_t ounce_cpu_isas(void) {
    const unsigned long asimd = 1ul << 1, dot = 1ul << 20, have = getauxval(AT_HWCAP);
    uint32_t isas = 1u << OUNCE_ISA_SCALAR;
    if (have & asimd) isas |= 1u << OUNCE_ISA_NEON;
    if ((have & asimd) && (have & dot)) isas |= 1u << OUNCE_ISA_NEONDOT;
    return isas;
}

void ounce_pause(void) { __asm__ volatile("yield" ::: "memory"); }

#else
uint32_t ounce_cpu_isas(void) { return 1u << OUNCE_ISA_SCALAR; }
void ounce_pause(void) { __asm__ volatile("" ::: "memory"); }
#endif

const char *ounce_isa_name(ounce_isa isa) {
    static const char *const names[OUNCE_ISA_COUNT] = {"scalar", "avx2", "avxvnni", "avx512vnni", "avx512popcnt",
                                                        "neon", "neondot"};
    return (unsigned)isa < OUNCE_ISA_COUNT ? names[isa] : "unknown";
}

int ounce_isa_width(ounce_isa isa) {
    static const int widths[OUNCE_ISA_COUNT] = {0, 256, 256, 512, 512, 128, 128};
    return (unsigned)isa < OUNCE_ISA_COUNT ? widths[isa] : 0;
}
