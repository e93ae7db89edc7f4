// Int8 convolution over the non-zero 1x4 blocks of the weights; compiled once for each instruction set. The including
// file defines SPARSE_ROW (bytes that a row takes for each vector of pixels), SPARSE_VECTORS (vectors of a tile), the
// types acc16 (sixteen int32 lanes) and block4 (the weights of a block for each lane), row_store(), acc_splat(),
// acc_value(), acc_add(), block_load() and block_dot().
#include "lanes.h"

typedef struct {
    const ounce_conv_params *p;
    const sparse_shape *shape;
    const sparse_head *head;
    const sparse_block *blocks;
    const char *in[SPARSE_PIXELS];
    int8_t *out[SPARSE_PIXELS];
    int64_t count;  // pixels to store
    char *rows;
    intptr_t residual;  // residual_offset()
} sparse_call;

OUNCE_INLINE void sparse_rows(const sparse_call *t, const int vectors) {
    const conv_shape *s = &t->shape->conv;
    char *to = t->rows;
    for (int64_t y = 0; y < s->rows; y++) {
        for (int64_t x = 0; x < s->columns; x++) {
            const int64_t from = y * s->row_step + x * s->column_step;
            for (int64_t row = 0; row < t->shape->rows; row += 4) {
                const int64_t some = ounce_min64(4, t->shape->rows - row);
                OUNCE_UNROLL for (int v = 0; v < vectors; v++) {
                    v16i turned[4];
                    turn_4x16(t->in + v * OUNCE_LANES, from + row * SPARSE_BLOCK, turned);
                    for (int64_t i = 0; i < some; i++) row_store(to + (i * vectors + v) * SPARSE_ROW, turned[i]);
                }
                to += some * vectors * SPARSE_ROW;
            }
        }
    }
}

// Sixteen channels by sixteen pixels, turned; four rounds of interleaving do it.
OUNCE_INLINE void turn_16x16(v16b row[16]) {
    OUNCE_UNROLL for (int round = 0; round < 4; round++) {
        v16b next[16];
        OUNCE_UNROLL for (int i = 0; i < 8; i++) {
            next[2 * i] = __builtin_shufflevector(row[i], row[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22,
                                                  7, 23);
            next[2 * i + 1] = __builtin_shufflevector(row[i], row[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29,
                                                      14, 30, 15, 31);
        }
        memcpy(row, next, sizeof next);
    }
}

OUNCE_INLINE void sparse_tile(const sparse_call *t, const int vectors) {
    sparse_rows(t, vectors);
    const ounce_range range = ounce_make_range(t->p->out_min, t->p->out_max, t->p->out_zero);
    v16b results[SPARSE_VECTORS][OUNCE_LANES] = {{{0}}};
    for (int64_t first = 0; first < t->p->out_c; first += OUNCE_LANES) {
        const int64_t channels = ounce_min64(OUNCE_LANES, t->p->out_c - first);
        for (int64_t n = 0; n < channels; n++) {
            const sparse_head *head = t->head + first + n;
            const sparse_block *b = t->blocks + head[0].first, *end = t->blocks + head[1].first;
            acc16 acc[SPARSE_VECTORS], odd[SPARSE_VECTORS];
            OUNCE_UNROLL for (int v = 0; v < vectors; v++) acc[v] = acc_splat(head->start), odd[v] = acc_splat(0);
            for (; b + 2 <= end; b += 2) {
                const char *x = t->rows + (size_t)b[0].row * (size_t)(vectors * SPARSE_ROW);
                const char *y = t->rows + (size_t)b[1].row * (size_t)(vectors * SPARSE_ROW);
                const block4 w = block_load(&b[0].weights), u = block_load(&b[1].weights);
                OUNCE_UNROLL for (int v = 0; v < vectors; v++) {
                    acc[v] = block_dot(acc[v], x + v * SPARSE_ROW, w);
                    odd[v] = block_dot(odd[v], y + v * SPARSE_ROW, u);
                }
            }
            if (b < end) {
                const char *x = t->rows + (size_t)b->row * (size_t)(vectors * SPARSE_ROW);
                const block4 w = block_load(&b->weights);
                OUNCE_UNROLL for (int v = 0; v < vectors; v++) acc[v] = block_dot(acc[v], x + v * SPARSE_ROW, w);
            }
            OUNCE_UNROLL for (int v = 0; v < vectors; v++) {
                store_requantised((int8_t *)&results[v][n], acc_value(acc_add(acc[v], odd[v])), splat(head->scale),
                                  range, OUNCE_LANES);
            }
        }
        OUNCE_UNROLL for (int v = 0; v < vectors; v++) {
            v16b turned[OUNCE_LANES];
            memcpy(turned, results[v], sizeof turned);
            turn_16x16(turned);
            const int64_t pixels = ounce_min64(OUNCE_LANES, t->count - v * OUNCE_LANES);
            for (int64_t m = 0; m < pixels; m++) {
                int8_t *out = t->out[v * OUNCE_LANES + m] + first;
                if (OUNCE_LIKELY(channels == OUNCE_LANES)) {
                    memcpy(out, &turned[m], OUNCE_LANES);
                } else {
                    store_some(out, &turned[m], 1, channels);
                }
            }
            if (t->p->has_residual) {
                ADD_RESIDUAL(t->p, t->out + v * OUNCE_LANES, first, t->residual, pixels, channels)
            }
        }
    }
}

static __attribute__((noinline)) void sparse_tile_1(const sparse_call *t) { sparse_tile(t, 1); }
static __attribute__((noinline)) void sparse_tile_2(const sparse_call *t) { sparse_tile(t, 2); }
#if SPARSE_VECTORS == 4
static __attribute__((noinline)) void sparse_tile_4(const sparse_call *t) { sparse_tile(t, 4); }
#endif

void OUNCE_CONCAT(OUNCE_NAME(conv_s8), _sparse)(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_conv_params *p = call->params;
    const sparse_shape shape = make_sparse_shape(p, SPARSE_BLOCK);
    const sparse_head *head = call->packed;
    sparse_call t = {.p = p, .shape = &shape, .head = head, .rows = call->scratch,
                     .residual = residual_offset(call)};
    t.blocks = (const sparse_block *)(head + p->out_c + 1);
    const int64_t unit = sparse_unit_pixels(shape.conv.pixels);
    const int64_t last = ounce_min64(end * unit, shape.conv.pixels);
    const int64_t wide = ounce_min64(SPARSE_VECTORS, unit / OUNCE_LANES);
    for (int64_t pixel = begin * unit; pixel < last;) {
        const int64_t left = ounce_min64(last - pixel, wide * OUNCE_LANES);
        const int64_t vectors = left > 2 * OUNCE_LANES ? 4 : left > OUNCE_LANES ? 2 : 1;
        int64_t in[SPARSE_PIXELS], out[SPARSE_PIXELS];
        t.count = ounce_conv_offsets(p, pixel, last, vectors * OUNCE_LANES, in, out);
        for (int64_t m = 0; m < vectors * OUNCE_LANES; m++) {
            t.in[m] = (const char *)call->in[0] + in[m];
            t.out[m] = (int8_t *)call->out + out[m];
        }
        pixel += t.count;
#if SPARSE_VECTORS == 4
        if (vectors == 4) sparse_tile_4(&t);
#endif
        if (vectors == 2) sparse_tile_2(&t);
        if (vectors == 1) sparse_tile_1(&t);
    }
}
