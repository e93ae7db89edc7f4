// Products of a small weight and an input are at most 8 * 128 in size, so the eight of a block fit int16: each lane of 64 is
// one of four inputs of one of sixteen channels, and neighbours are added when the block is done.
#include "../target.h"

TARGET("arch=+v")
#include "narrow.h"

typedef int8_t v64b __attribute__((vector_size(64)));
typedef int16_t v64s __attribute__((vector_size(128)));
typedef v16i acc16;
typedef v64b in4;
typedef v64b w64;
typedef v64s blk16;

OUNCE_INLINE acc16 acc_load(const void *p) { return LOAD(acc16, p); }
OUNCE_INLINE v16i acc_value(acc16 a) { return a; }
OUNCE_INLINE in4 in4_load(const int8_t *x) { return (in4)((v16i){0} + LOAD(int32_t, x)); }
OUNCE_INLINE blk16 blk_zero(void) { return (blk16){0}; }
OUNCE_INLINE blk16 blk_dot(blk16 a, in4 x, w64 w) {
    return a + __builtin_convertvector(x, v64s) * __builtin_convertvector(w, v64s);
}
OUNCE_INLINE w64 unpack(const char *w, const int field) {
    const v64b all = LOAD(v64b, w);
    return (v64b)(all << (8 - NARROW_BITS * (field + 1))) >> (8 - NARROW_BITS);
}
// The four sums of a channel lie in one lane of 64 bits.
OUNCE_INLINE acc16 acc_add(acc16 a, blk16 sum, const char *factors) {
    typedef int64_t v16l __attribute__((vector_size(128)));
    const v16l four = (v16l)sum;
    const v16i low = __builtin_convertvector(four, v16i), high = __builtin_convertvector(four >> 32, v16i);
    const v16i total = ((v16i)((v16u)low << 16) >> 16) + (low >> 16) + ((v16i)((v16u)high << 16) >> 16) + (high >> 16);
    const v16i factor = __builtin_convertvector(LOAD(v16b, factors), v16i);
    return (acc16)((v16u)a + (v16u)total * (v16u)factor);
}

#define OUNCE_BODY_ISA rvv
#define TILE_WIDE 1
#define TILE_NARROW 1
#define TILE_GROUP 1
#define TILE_VARIANTS(V) V(1, 1) V(1, 2) V(1, 3) V(1, 4)
#include "narrow_body.h"
TARGET_END
