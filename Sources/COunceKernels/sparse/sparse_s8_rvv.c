// A row holds its four elements one behind another, sixteen pixels of int16 each.
#if defined(__riscv) && __riscv_xlen == 64
#include "../target.h"

TARGET("arch=+v")
#include "../vector.h"

#define SPARSE_ROW 128
#define SPARSE_VECTORS 2
typedef int16_t v16h __attribute__((vector_size(32)));
typedef v16i acc16;
typedef const int8_t *block4;
OUNCE_INLINE void row_store(char *to, v16i row) {
    OUNCE_UNROLL for (int k = 0; k < 4; k++) {
        const v16h wide = __builtin_convertvector((v16i)((v16u)row << (24 - 8 * k)) >> 24, v16h);
        memcpy(to + 32 * k, &wide, sizeof wide);
    }
}
OUNCE_INLINE acc16 acc_splat(int32_t x) { return (acc16){0} + x; }
OUNCE_INLINE v16i acc_value(acc16 a) { return a; }
OUNCE_INLINE acc16 acc_add(acc16 a, acc16 b) { return (acc16)((v16u)a + (v16u)b); }
OUNCE_INLINE block4 block_load(const int32_t *weights) { return (const int8_t *)weights; }
OUNCE_INLINE acc16 block_dot(acc16 a, const char *x, block4 w) {
    OUNCE_UNROLL for (int k = 0; k < 4; k++) {
        a = acc_add(a, __builtin_convertvector(LOAD(v16h, x + 32 * k), v16i) * (int32_t)w[k]);
    }
    return a;
}

#define OUNCE_BODY_ISA rvv
#include "sparse_s8_body.h"
TARGET_END
#endif
