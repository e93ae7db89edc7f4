// Int8 convolution, four products by one instruction. x + 128 is unsigned, as the instruction wants its first factor; the
// start values make up for it (walk_pack.c).
#if defined(__x86_64__)
#include "../target.h"

TARGET("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
#define ADD_S8_AVX512
#include "requantise_avx512.h"
#include "walk.h"

#define WALK_INPUT int8_t
#define WALK_OUTPUT int8_t
#define WALK_PIXELS 24
#define WALK_VARIANTS(V)                                                                      \
    V(1, 1) V(4, 1) V(8, 1) V(12, 1) V(16, 1) V(20, 1) V(24, 1) V(1, 2) V(2, 2) V(3, 2) V(4, 2) \
    V(5, 2) V(6, 2) V(7, 2) V(8, 2) V(9, 2) V(10, 2) V(11, 2) V(12, 2) V(13, 2) V(14, 2) V(1, 3) V(1, 4) V(1, 5) \
    V(1, 6) V(1, 7) V(1, 8)
#include "walk_body.h"

// The compiler is not to know that all lanes are the same: it would take a scalar's detour to the exclusive or.
OUNCE_INLINE __m512i signs(void) {
    __m512i v = _mm512_set1_epi8(-128);
    __asm__("" : "+v"(v));
    return v;
}
OUNCE_INLINE __m512i inputs(const int8_t *x, __m512i sign) {
    return _mm512_xor_si512(_mm512_set1_epi32(LOAD(int32_t, x)), sign);
}

// One pixel by up to eight panels. Memory decides: it is read in many streams. `sums` sums for each panel
// hide the latency of adding where there are few.
OUNCE_INLINE void single(const tile_call *t, const int panels) {
    const conv_walk w = *t->walk;
    const int sums = panels < 3 ? 4 : panels < 5 ? 2 : 1;
    const __m512i sign = signs();
    __m512i acc[8][4];
    OUNCE_UNROLL for (int n = 0; n < panels; n++) {
        acc[n][0] = _mm512_loadu_si512(t->panel + (size_t)n * w.panel_bytes);
        OUNCE_UNROLL for (int i = 1; i < sums; i++) acc[n][i] = _mm512_setzero_si512();
    }
    const char *weights = t->panel + S8_HEADER;
    for (int64_t row = 0; row < w.rows; row++) {
        for (int64_t column = 0; column < w.columns; column++) {
            const int8_t *x = t->x[0] + t->in_offset + row * w.row_step + column * w.column_step;
            int64_t k = 0;
            for (; k + 4 * (sums - 1) < w.length; k += 4 * sums, weights += 64 * sums) {
                OUNCE_UNROLL for (int i = 0; i < sums; i++) {
                    const __m512i v = inputs(x + k + 4 * i, sign);
                    OUNCE_UNROLL for (int n = 0; n < panels; n++) {
                        const char *from = weights + (size_t)n * w.panel_bytes + 64 * i;
                        acc[n][i] = _mm512_dpbusd_epi32(acc[n][i], v, _mm512_loadu_si512(from));
                    }
                }
            }
            for (; sums > 1 && k < w.length; k += 4, weights += 64) {
                const __m512i v = inputs(x + k, sign);
                OUNCE_UNROLL for (int n = 0; n < panels; n++) {
                    const char *from = weights + (size_t)n * w.panel_bytes;
                    acc[n][0] = _mm512_dpbusd_epi32(acc[n][0], v, _mm512_loadu_si512(from));
                }
            }
        }
    }
    const ounce_range range = ounce_make_range(t->p->out_min, t->p->out_max, t->p->out_zero);
    OUNCE_UNROLL for (int first = 0; first < panels; first += 4) {
        __m512i sum[4];
        __m512 scale[4];
        OUNCE_UNROLL for (int i = 0; i < 4; i++) {
            const int n = first + i < panels ? first + i : panels - 1;
            scale[i] = _mm512_loadu_ps(t->panel + (size_t)n * w.panel_bytes + 64);
            sum[i] = acc[n][0];
            OUNCE_UNROLL for (int j = 1; j < sums; j++) sum[i] = _mm512_add_epi32(sum[i], acc[n][j]);
        }
        const int64_t offset = first * OUNCE_LANES;
        store_single(t->out[0] + t->out_offset + offset, requantised(sum, scale, range), t->channels - offset);
    }
}

// `count` sets of four reduction indices, from k on.
OUNCE_INLINE void steps(__m512i acc[][2], const int8_t *const *x, int64_t k, const char *weights, size_t panel_bytes,
                        __m512i sign, const int pixels, const int panels, const int count) {
    __m512i wide[4];
    OUNCE_UNROLL for (int n = 0; n < panels * count; n++) {
        wide[n] = _mm512_loadu_si512(weights + (size_t)(n % panels) * panel_bytes + 64 * (n / panels));
    }
    OUNCE_UNROLL for (int m = 0; m < pixels; m++) {
        const int8_t *from = x[m] + k;
        OUNCE_UNROLL for (int i = 0; i < count; i++) {
            const __m512i v = inputs(from + 4 * i, sign);
            OUNCE_UNROLL for (int n = 0; n < panels; n++) {
                acc[m][n] = _mm512_dpbusd_epi32(acc[m][n], v, wide[i * panels + n]);
            }
        }
    }
}

OUNCE_INLINE void tile(const tile_call *t, const int pixels, const int panels) {
    if (pixels == 1) {
        single(t, panels);
        return;
    }
    const conv_walk w = *t->walk;
    const __m512i sign = signs();
    __m512i acc[WALK_PIXELS][2];
    OUNCE_UNROLL for (int n = 0; n < panels; n++) {
        const __m512i start = _mm512_loadu_si512(t->panel + (size_t)n * w.panel_bytes);
        OUNCE_UNROLL for (int m = 0; m < pixels; m++) acc[m][n] = start;
    }
    const int8_t *const *x = t->x;
    const char *weights = t->panel + S8_HEADER;
    const ptrdiff_t soon = t->soon - t->panel;
    for (int64_t row = 0; row < w.rows; row++) {
        for (int64_t column = 0; column < w.columns; column++) {
            int64_t k = t->in_offset + row * w.row_step + column * w.column_step;
            const int64_t end = k + w.length;
            __asm__("" : "+r"(k));  // one index for all pixels, not a pointer for each
            for (; panels == 1 && k + 16 <= end; k += 16, weights += 256) steps(acc, x, k, weights, 0, sign, pixels, 1, 4);
            for (; k < end; k += 4, weights += 64) {
                _mm_prefetch(weights + soon, _MM_HINT_T1);
                steps(acc, x, k, weights, w.panel_bytes, sign, pixels, panels, 1);
            }
        }
    }
    const ounce_range range = ounce_make_range(t->p->out_min, t->p->out_max, t->p->out_zero);
    const int together = 4 / panels;
    __m512 scale[4];
    OUNCE_UNROLL for (int i = 0; i < 4; i++) {
        scale[i] = _mm512_loadu_ps(t->panel + (size_t)(i % panels) * w.panel_bytes + 64);
    }
    OUNCE_UNROLL for (int m = 0; m < pixels; m += together) {
        __m512i group[4];
        OUNCE_UNROLL for (int i = 0; i < 4; i++) group[i] = acc[pixels - m > i / panels ? m + i / panels : m][i % panels];
        store_group(t->out + m, t->out_offset, requantised(group, scale, range), panels, t->channels);
    }
}

void ounce_conv_s8_avx512vnni(const ounce_call *call, int64_t begin, int64_t end) {
    const conv_walk w = s8_dot_walk(call->params, WALK_AVX512_S8);
    walk_units(call, &w, begin, end);
}
TARGET_END
#endif
