// Float convolution over the non-zero weights; compiled once for each instruction set.
//
// The contract has a fused multiply-add for every weight, also for zeros. Leaving out fma(x, 0, sum) changes nothing but
// where x is not finite (the product is NaN) or where the sum is -0 (it may become +0). A sum of +0 or of another number
// stays what it is, so a sum that is not -0 in the end is the one that the contract asks for. Tiles that read a number
// which is not finite, and results of -0, are computed again with all their weights.
#include "lanes.h"

#define SPARSE_VECTORS 4
#define SPARSE_ROW 64
// Rows that stay in the first-level cache allow the wide tile.
#define SPARSE_WIDE_BYTES (32 << 10)

typedef struct {
    const ounce_conv_params *p;
    const sparse_shape *shape;
    const sparse_head *head;
    const sparse_block *blocks;
    const char *in[SPARSE_PIXELS];
    float *out[SPARSE_PIXELS];
    int64_t count;  // pixels to store
    char *rows;
    intptr_t residual;  // residual_offset()
} sparse_call;

// Returns whether a lane is set where an element was not finite.
OUNCE_INLINE int sparse_rows(const sparse_call *t, const int vectors) {
    const conv_shape *s = &t->shape->conv;
    char *to = t->rows;
    v16i odd = {0};
    for (int64_t y = 0; y < s->rows; y++) {
        for (int64_t x = 0; x < s->columns; x++) {
            const int64_t from = (y * s->row_step + x * s->column_step) * 4;
            for (int64_t row = 0; row < s->length; row += 4) {
                const int64_t some = ounce_min64(4, s->length - row);
                OUNCE_UNROLL for (int v = 0; v < vectors; v++) {
                    v16i turned[4];
                    turn_4x16(t->in + v * OUNCE_LANES, from + row * 4, turned);
                    for (int64_t i = 0; i < some; i++) {
                        odd |= (turned[i] & 0x7F800000) == 0x7F800000;
                        memcpy(to + (i * vectors + v) * SPARSE_ROW, &turned[i], SPARSE_ROW);
                    }
                }
                to += some * vectors * SPARSE_ROW;
            }
        }
    }
    int any = 0;
    for (int i = 0; i < OUNCE_LANES; i++) any |= odd[i];
    return any;
}

// One result with all its weights, by the contract.
static __attribute__((noinline)) float sparse_exact(const sparse_call *t, int64_t n, int64_t lane, int64_t vectors) {
    const float *x = (const float *)t->rows + lane;
    const sparse_block *b = t->blocks + t->head[n].first, *end = t->blocks + t->head[n + 1].first;
    float sum = ounce_float((uint32_t)t->head[n].start);
    for (int64_t row = 0; row < t->shape->all; row++, x += vectors * OUNCE_LANES) {
        const int kept = b < end && b->row == row;
        sum = __builtin_fmaf(*x, kept ? ounce_float((uint32_t)b->weights) : 0, sum);
        b += kept;
    }
    return sum;
}

OUNCE_INLINE void sparse_tile(const sparse_call *t, const int vectors) {
    const int odd = sparse_rows(t, vectors);
    float results[OUNCE_LANES][SPARSE_PIXELS] = {{0}};
    const char *row[OUNCE_LANES];
    for (int i = 0; i < OUNCE_LANES; i++) row[i] = (const char *)results[i];
    for (int64_t first = 0; first < t->p->out_c; first += OUNCE_LANES) {
        const int64_t channels = ounce_min64(OUNCE_LANES, t->p->out_c - first);
        for (int64_t n = 0; n < channels; n++) {
            const sparse_head *head = t->head + first + n;
            const sparse_block *end = t->blocks + head[1].first;
            v16f sum[SPARSE_VECTORS];
            OUNCE_UNROLL for (int v = 0; v < vectors; v++) sum[v] = splat(ounce_float((uint32_t)head->start));
            for (const sparse_block *b = t->blocks + head->first; b < end; b++) {
                const char *x = t->rows + (size_t)b->row * (size_t)(vectors * SPARSE_ROW);
                const v16f w = splat(ounce_float((uint32_t)b->weights));
                OUNCE_UNROLL for (int v = 0; v < vectors; v++) {
                    sum[v] = __builtin_elementwise_fma(LOAD(v16f, x + v * SPARSE_ROW), w, sum[v]);
                }
            }
            v16i again = {0};
            OUNCE_UNROLL for (int v = 0; v < vectors; v++) {
                again |= (v16i)sum[v] == (int32_t)0x80000000;
                memcpy(results[n] + v * OUNCE_LANES, &sum[v], SPARSE_ROW);
            }
            int any = odd;
            OUNCE_UNROLL for (int i = 0; i < OUNCE_LANES; i++) any |= again[i];
            if (OUNCE_LIKELY(!any)) continue;
            for (int64_t lane = 0; lane < vectors * OUNCE_LANES; lane++) {
                if (odd || ounce_bits(results[n][lane]) == 0x80000000u) {
                    results[n][lane] = sparse_exact(t, first + n, lane, vectors);
                }
            }
        }
        for (int64_t pixel = 0; pixel < t->count; pixel += 4) {
            v16i turned[4];
            turn_4x16(row, pixel * 4, turned);
            for (int64_t m = 0; m < ounce_min64(4, t->count - pixel); m++) {
                store_clamped(t->out[pixel + m] + first, (v16f)turned[m], t->p->min, t->p->max, channels);
            }
        }
        if (t->p->has_residual) ADD_RESIDUAL(t->p, t->out, first, t->residual, t->count, channels)
    }
}

static __attribute__((noinline)) void sparse_tile_1(const sparse_call *t) { sparse_tile(t, 1); }
static __attribute__((noinline)) void sparse_tile_2(const sparse_call *t) { sparse_tile(t, 2); }
static __attribute__((noinline)) void sparse_tile_4(const sparse_call *t) { sparse_tile(t, 4); }

void OUNCE_CONCAT(OUNCE_NAME(conv_f32), _sparse)(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_conv_params *p = call->params;
    const sparse_shape shape = make_sparse_shape(p, 1);
    const sparse_head *head = call->packed;
    sparse_call t = {.p = p, .shape = &shape, .head = head, .rows = call->scratch,
                     .residual = residual_offset(call)};
    t.blocks = (const sparse_block *)(head + p->out_c + 1);
    const int64_t unit = sparse_unit_pixels(shape.conv.pixels);
    const int64_t last = ounce_min64(end * unit, shape.conv.pixels);
    const int64_t wide = ounce_min64(shape.all * 4 * SPARSE_ROW <= SPARSE_WIDE_BYTES ? 4 : 2, unit / OUNCE_LANES);
    for (int64_t pixel = begin * unit; pixel < last;) {
        const int64_t left = ounce_min64(last - pixel, wide * OUNCE_LANES);
        const int64_t vectors = left > 2 * OUNCE_LANES ? 4 : left > OUNCE_LANES ? 2 : 1;
        int64_t in[SPARSE_PIXELS], out[SPARSE_PIXELS];
        t.count = ounce_conv_offsets(p, pixel, last, vectors * OUNCE_LANES, in, out);
        for (int64_t m = 0; m < vectors * OUNCE_LANES; m++) {
            t.in[m] = (const char *)((const float *)call->in[0] + in[m]);
            t.out[m] = (float *)call->out + out[m];
        }
        pixel += t.count;
        if (vectors == 4) sparse_tile_4(&t);
        if (vectors == 2) sparse_tile_2(&t);
        if (vectors == 1) sparse_tile_1(&t);
    }
}
