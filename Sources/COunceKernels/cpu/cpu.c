#include "../include/ounce_kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

// The register state that the operating system saves (XCR0).
static uint64_t saved_state(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

#if defined(OUNCE_EMULATE_AMX)
static int has_amx(void) { return 1; }
#else
static int amx_allowed;

// AMX state is the kernel's to grant. It refuses once a thread has a small alternate signal stack, so it is asked before
// main, where there is none.
__attribute__((constructor)) static void ask_for_amx(void) {
    const long ARCH_REQ_XCOMP_PERM = 0x1023, tile_data = 18;
    uint32_t a, b, c, d;
    const uint32_t tile = 1u << 24, int8 = 1u << 25, osxsave = 1u << 27;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & osxsave)) return;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & (tile | int8)) != (tile | int8)) return;
    const uint64_t tiles = 3u << 17;
    amx_allowed = (saved_state() & tiles) == tiles && syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, tile_data) == 0;
}
static int has_amx(void) { return amx_allowed; }
#endif

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
    if ((isas & 1u << OUNCE_ISA_AVX512VNNI) && has_amx()) isas |= 1u << OUNCE_ISA_AMX;
    return isas;
}

uint64_t ounce_cpu_signature(void) {
    uint32_t words[13] = {0};
    if (!__get_cpuid(1, &words[0], &words[1], &words[2], &words[3])) return 0;
    words[1] = words[2] = words[3] = 0;  // they differ from core to core
    for (uint32_t leaf = 0; leaf < 3; leaf++) {
        uint32_t *name = words + 1 + 4 * leaf;
        if (!__get_cpuid(0x80000002u + leaf, name, name + 1, name + 2, name + 3)) break;
    }
    uint64_t hash = 0xCBF29CE484222325u;
    for (int i = 0; i < 13; i++) hash = (hash ^ words[i]) * 0x100000001B3u;
    return hash;
}

void ounce_pause(void) { __asm__ volatile("pause" ::: "memory"); }

#elif defined(__aarch64__)
#include <sys/auxv.h>

uint32_t ounce_cpu_isas(void) {
    const unsigned long asimd = 1ul << 1, dot = 1ul << 20, have = getauxval(AT_HWCAP);
    const unsigned long matrices = 1ul << 13;  // HWCAP2_I8MM
    uint32_t isas = 1u << OUNCE_ISA_SCALAR;
    if (have & asimd) isas |= 1u << OUNCE_ISA_NEON;
    if ((have & asimd) && (have & dot)) isas |= 1u << OUNCE_ISA_NEONDOT;
    if ((isas & 1u << OUNCE_ISA_NEONDOT) && (getauxval(AT_HWCAP2) & matrices)) isas |= 1u << OUNCE_ISA_I8MM;
    return isas;
}

void ounce_pause(void) { __asm__ volatile("yield" ::: "memory"); }

#elif defined(__riscv) && __riscv_xlen == 64
#include <sys/auxv.h>

// Early CPUs and their kernels mean draft 0.7.1 by the same bit: there the vector type below, which has the bits of
// version 1.0 for tails and masks, is an illegal one.
static int has_vectors_1_0(void) {
    unsigned long length, type;
    __asm__ volatile(
        ".option push\n.option arch, +v\n"
        "vsetvli %0, zero, e8, m1, ta, ma\ncsrr %1, vtype\n"
        ".option pop"
        : "=r"(length), "=r"(type));
    return type == 0xC0;
}

uint32_t ounce_cpu_isas(void) {
    const unsigned long vectors = 1ul << ('V' - 'A');
    uint32_t isas = 1u << OUNCE_ISA_SCALAR;
    if ((getauxval(AT_HWCAP) & vectors) && has_vectors_1_0()) isas |= 1u << OUNCE_ISA_RVV;
    return isas;
}

void ounce_pause(void) { __asm__ volatile(".4byte 0x0100000f" ::: "memory"); }  // pause, a hint

#else
uint32_t ounce_cpu_isas(void) { return 1u << OUNCE_ISA_SCALAR; }
void ounce_pause(void) { __asm__ volatile("" ::: "memory"); }
#endif

#if !defined(__x86_64__)
uint64_t ounce_cpu_signature(void) { return 0; }
#endif

const char *ounce_isa_name(ounce_isa isa) {
    static const char *const names[OUNCE_ISA_COUNT] = {"scalar", "avx2", "avxvnni", "avx512vnni", "avx512popcnt",
                                                        "amx", "neon", "neondot", "i8mm", "rvv"};
    return (unsigned)isa < OUNCE_ISA_COUNT ? names[isa] : "unknown";
}

int ounce_isa_width(ounce_isa isa) {
    static const int widths[OUNCE_ISA_COUNT] = {0, 256, 256, 512, 512, 512, 128, 128, 128, 128};
    return (unsigned)isa < OUNCE_ISA_COUNT ? widths[isa] : 0;
}
