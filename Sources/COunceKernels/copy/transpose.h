// Transposition of lines of elements: out[line * out_step + i] = in[i * in_step + line], steps in bytes. Tiles of as
// many rows as 128 bits hold elements pass through a network of interleavings: each stage puts row k beside row k + N/2.
#ifndef OUNCE_TRANSPOSE_H
#define OUNCE_TRANSPOSE_H

#include "../vector.h"

typedef uint8_t tile8 __attribute__((vector_size(16)));
typedef uint16_t tile16 __attribute__((vector_size(16)));
typedef uint32_t tile32 __attribute__((vector_size(16)));
typedef uint64_t tile64 __attribute__((vector_size(16)));

// An element anywhere in memory.
typedef uint8_t any8 __attribute__((may_alias));
typedef uint16_t any16 __attribute__((aligned(1), may_alias));
typedef uint32_t any32 __attribute__((aligned(1), may_alias));
typedef uint64_t any64 __attribute__((aligned(1), may_alias));

#define LOW8(a, b) \
    __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define HIGH8(a, b) \
    __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#define LOW16(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define HIGH16(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#define LOW32(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define HIGH32(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#define LOW64(a, b) __builtin_shufflevector(a, b, 0, 2)
#define HIGH64(a, b) __builtin_shufflevector(a, b, 1, 3)

#define TRANSPOSE_TILE(bits, rows)                                                                        \
    OUNCE_INLINE void transpose_tile##bits(const char *in, int64_t in_step, char *out, int64_t out_step) { \
        tile##bits v[rows], next[rows];                                                                   \
        OUNCE_UNROLL for (int k = 0; k < rows; k++) v[k] = LOAD(tile##bits, in + k * in_step);            \
        OUNCE_UNROLL for (int stage = 1; stage < rows; stage *= 2) {                                      \
            OUNCE_UNROLL for (int k = 0; k < rows / 2; k++) {                                             \
                next[2 * k] = LOW##bits(v[k], v[k + rows / 2]);                                           \
                next[2 * k + 1] = HIGH##bits(v[k], v[k + rows / 2]);                                      \
            }                                                                                             \
            OUNCE_UNROLL for (int k = 0; k < rows; k++) v[k] = next[k];                                   \
        }                                                                                                 \
        OUNCE_UNROLL for (int k = 0; k < rows; k++) memcpy(out + k * out_step, &v[k], sizeof v[k]);       \
    }

// Few inner places, close together in the target, or few lines, close together in the source.
#define INTERLEAVE(type, n)                                                                               \
    do {                                                                                                  \
        const type *x[n];                                                                                 \
        for (int k = 0; k < n; k++) x[k] = (const type *)(in + k * in_step);                              \
        type *restrict to = (type *)out;                                                                  \
        for (int64_t i = 0; i < lines; i++) {                                                             \
            OUNCE_UNROLL for (int k = 0; k < n; k++) to[n * i + k] = x[k][i];                             \
        }                                                                                                 \
        return;                                                                                           \
    } while (0)
#define DEINTERLEAVE(type, n)                                                                             \
    do {                                                                                                  \
        type *to[n];                                                                                      \
        for (int k = 0; k < n; k++) to[k] = (type *)(out + k * out_step);                                 \
        const type *restrict x = (const type *)in;                                                        \
        OUNCE_UNROLL for (int k = 0; k < n; k++) {                                                        \
            for (int64_t i = 0; i < count; i++) to[k][i] = x[n * i + k];                                  \
        }                                                                                                 \
        return;                                                                                           \
    } while (0)
#define FEW_PLACES(type)                                                                                  \
    if (out_step == count * (int64_t)sizeof(type) && count == 2) INTERLEAVE(type, 2);                     \
    if (out_step == count * (int64_t)sizeof(type) && count == 3) INTERLEAVE(type, 3);                     \
    if (out_step == count * (int64_t)sizeof(type) && count == 4) INTERLEAVE(type, 4);                     \
    if (in_step == lines * (int64_t)sizeof(type) && lines == 2) DEINTERLEAVE(type, 2);                    \
    if (in_step == lines * (int64_t)sizeof(type) && lines == 3) DEINTERLEAVE(type, 3);                    \
    if (in_step == lines * (int64_t)sizeof(type) && lines == 4) DEINTERLEAVE(type, 4);
#define TILED_ONLY(type)

// The last tiles of an axis overlap those before them, so that there is no remainder.
#define TRANSPOSE(bits, rows, few)                                                                        \
    TRANSPOSE_TILE(bits, rows)                                                                            \
    static void transpose##bits(const char *in, int64_t in_step, char *out, int64_t out_step, int64_t lines, \
                                int64_t count) {                                                          \
        few(any##bits)                                                                               \
        if (lines < rows || count < rows) {                                                               \
            for (int64_t i = 0; i < count; i++) {                                                         \
                const any##bits *x = (const any##bits *)(in + i * in_step);                               \
                char *to = out + i * (int64_t)sizeof *x;                                                  \
                for (int64_t k = 0; k < lines; k++) *(any##bits *)(to + k * out_step) = x[k];             \
            }                                                                                             \
            return;                                                                                       \
        }                                                                                                 \
        for (int64_t line = 0; line < lines; line += rows) {                                              \
            const int64_t k = ounce_min64(line, lines - rows);                                            \
            for (int64_t place = 0; place < count; place += rows) {                                       \
                const int64_t i = ounce_min64(place, count - rows);                                       \
                transpose_tile##bits(in + i * in_step + k * (bits / 8), in_step,                          \
                                     out + k * out_step + i * (bits / 8), out_step);                      \
            }                                                                                             \
        }                                                                                                 \
    }
TRANSPOSE(8, 16, FEW_PLACES)
TRANSPOSE(16, 8, TILED_ONLY)
TRANSPOSE(32, 4, FEW_PLACES)
TRANSPOSE(64, 2, TILED_ONLY)

#endif
