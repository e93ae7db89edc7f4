// One number at a time, sixteen columns in the compiler's vector types.
#include "../vector.h"

#define S8_GROUP 1

typedef int16_t s8_word;
typedef v16s s8_wide;

OUNCE_INLINE s8_wide s8_load(const char *from) { return LOAD(v16s, from); }
OUNCE_INLINE s8_word s8_spread(const void *from) { return LOAD(int16_t, from); }
OUNCE_INLINE v16i s8_dot(v16i acc, s8_word x, s8_wide w) {
    return (v16i)((v16u)acc + (v16u)(__builtin_convertvector(w, v16i) * (int32_t)x));
}

#include "matmul_s8_tile.h"
#include "matmul_s8_body.h"
#include "../attention/attention_s8_body.h"
