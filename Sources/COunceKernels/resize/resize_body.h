// Resizing; compiled once for each instruction set. A unit is one slice of the output along axis 0. Blocks read whole
// vectors, so up to 60 bytes behind the input.
#include "../copy/run.h"
#include "../vector.h"

typedef double v8d __attribute__((vector_size(64)));
typedef float v8f __attribute__((vector_size(32)));
typedef float any_v16f __attribute__((vector_size(64), aligned(4), may_alias));
typedef struct {
    v8d low, high;
} sums_f64;

// What is summed, and what becomes of it.
typedef enum { FLOATS, INT8S, PARTIAL_SUMS } resize_source;
typedef enum { TO_FLOATS, TO_INT8S } resize_target;

// The taps of one output place.
typedef struct {
    const int32_t *places;
    const float *weights;
    int64_t count, step;  // step: elements from slice to slice
} resize_taps;

typedef struct {
    float scale;
    int32_t zero;
    ounce_range range;
} resize_grid;

OUNCE_INLINE resize_taps taps_of(const ounce_resize_axis *axis, int64_t o, int64_t step) {
    return (resize_taps){axis->places + o * axis->taps, axis->weights + o * axis->taps, axis->taps, step};
}

OUNCE_INLINE v8d eight(const float *x) { return __builtin_convertvector(LOAD(v8f, x), v8d); }

// A product of two floats is exact in double, so that fusing changes no bits.
OUNCE_INLINE void add_f64(sums_f64 *sum, const float *x, double weight) {
#pragma clang fp contract(fast)
    sum->low = sum->low + eight(x) * weight;
    sum->high = sum->high + eight(x + 8) * weight;
}

OUNCE_INLINE v16f rounded(const sums_f64 *sum) {
    const v8f low = __builtin_convertvector(sum->low, v8f), high = __builtin_convertvector(sum->high, v8f);
    return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

OUNCE_INLINE v16f add_f32(v16f sum, const void *x, int64_t at, float weight, int32_t zero, const resize_source from) {
    const v16f v = from == INT8S ? __builtin_convertvector(
                                       __builtin_convertvector(LOAD(v16b, (const int8_t *)x + at), v16i) - zero, v16f)
                                 : LOAD(v16f, (const float *)x + at);
    return sum + v * splat(weight);
}

// Sixteen sums from element `i` of the slices on.
OUNCE_INLINE v16f sum_all(const void *x, const resize_taps *t, int64_t i, int32_t zero, const resize_source from) {
    sums_f64 wide = {{0}, {0}};
    v16f sum = splat(0.0f);
    for (int64_t k = 0; k < t->count; k++) {
        if (t->weights[k] == 0) continue;
        const int64_t at = t->places[k] * t->step + i;
        if (from == FLOATS) add_f64(&wide, (const float *)x + at, (double)t->weights[k]);
        else sum = add_f32(sum, x, at, t->weights[k], zero, from);
    }
    return from == FLOATS ? rounded(&wide) : sum;
}

// The same of one tap or two.
OUNCE_INLINE v16f sum_few(const void *x, int64_t a, float weight_a, int64_t b, float weight_b, int32_t zero,
                          const resize_source from, const int count) {
    if (from == FLOATS) {
        sums_f64 wide = {{0}, {0}};
        add_f64(&wide, (const float *)x + a, (double)weight_a);
        if (count == 2) add_f64(&wide, (const float *)x + b, (double)weight_b);
        return rounded(&wide);
    }
    const v16f sum = add_f32(splat(0.0f), x, a, weight_a, zero, from);
    return count == 2 ? add_f32(sum, x, b, weight_b, zero, from) : sum;
}

OUNCE_INLINE void store_sums(void *out, int64_t i, v16f sum, int64_t count, const resize_grid *grid,
                             const resize_target to) {
    if (to == TO_FLOATS) {
        float *floats = (float *)out + i;
        if (OUNCE_LIKELY(count >= OUNCE_LANES)) {
            *(any_v16f *)floats = sum;
        } else {
            store_some(floats, &sum, sizeof(float), count);
        }
    } else {
        store_rounded((int8_t *)out + i, sum * splat(grid->scale), grid->range, count);
    }
}

// One output slice of n elements.
OUNCE_INLINE void resize_slice(void *out, const void *x, const resize_taps *t, int64_t n, const resize_grid *grid,
                               const resize_source from, const resize_target to) {
    const int32_t zero = grid->zero;
    int64_t used = 0, at[3];
    float weights[3];
    for (int64_t k = 0; k < t->count && used < 3; k++) {
        if (t->weights[k] == 0) continue;
        at[used] = t->places[k] * t->step, weights[used++] = t->weights[k];
    }
    const int64_t a = used > 0 ? at[0] : 0, b = used > 1 ? at[1] : 0;
    const float wa = used > 0 ? weights[0] : 0, wb = used > 1 ? weights[1] : 0;
    if (used == 1) {
        for (int64_t i = 0; i < n; i += OUNCE_LANES) {
            store_sums(out, i, sum_few(x, a + i, wa, b + i, wb, zero, from, 1), n - i, grid, to);
        }
    } else if (used == 2) {
        for (int64_t i = 0; i < n; i += OUNCE_LANES) {
            store_sums(out, i, sum_few(x, a + i, wa, b + i, wb, zero, from, 2), n - i, grid, to);
        }
    } else {
        for (int64_t i = 0; i < n; i += OUNCE_LANES) {
            store_sums(out, i, sum_all(x, t, i, zero, from), n - i, grid, to);
        }
    }
}

// Axis 1 where its slices are too short for vectors: one number at a time.
OUNCE_INLINE void resize_narrow(void *out, const float *x, const ounce_resize_axis *axis, int64_t inner,
                                const resize_grid *grid, const resize_target to) {
    for (int64_t o = 0; o < axis->out; o++) {
        for (int64_t c = 0; c < inner; c++) {
            double wide = 0;
            float sum = 0;
            for (int64_t k = o * axis->taps; k < (o + 1) * axis->taps; k++) {
                if (axis->weights[k] == 0) continue;
                const float v = x[axis->places[k] * inner + c];
                if (to == TO_FLOATS) wide = wide + (double)v * (double)axis->weights[k];
                else sum = sum + v * axis->weights[k];
            }
            if (to == TO_FLOATS) ((float *)out)[o * inner + c] = (float)wide;
            else ((int8_t *)out)[o * inner + c] = ounce_round(sum * grid->scale, grid->range);
        }
    }
}

// One unit: from `x`, an image, to its output slice.
OUNCE_INLINE void resize_unit(void *out, const void *x, const ounce_resize_params *p, int64_t o, float *scratch,
                              const resize_grid *grid, const resize_source from, const resize_target to) {
    const ounce_resize_axis *axis = &p->axis[1];
    const int64_t n = axis->taps ? axis->in * p->inner : p->inner;
    const resize_taps rows = taps_of(&p->axis[0], o, n);
    if (axis->taps == 0) {
        resize_slice(out, x, &rows, n, grid, from, to);
        return;
    }
    resize_slice(scratch, x, &rows, n, grid, from, TO_FLOATS);
    if (p->inner < OUNCE_LANES / 4) {
        resize_narrow(out, scratch, axis, p->inner, grid, to);
        return;
    }
    for (int64_t column = 0; column < axis->out; column++) {
        const resize_taps columns = taps_of(axis, column, p->inner);
        char *target = (char *)out + column * p->inner * (to == TO_FLOATS ? (int64_t)sizeof(float) : 1);
        resize_slice(target, scratch, &columns, p->inner, grid, to == TO_FLOATS ? FLOATS : PARTIAL_SUMS, to);
    }
}

// Slices of `size` bytes as they are.
OUNCE_INLINE void move_slices(char *restrict out, const char *restrict x, const ounce_resize_axis *axis, int64_t size) {
    if (size == 1) {
        for (int64_t o = 0; o < axis->out; o++) out[o] = x[axis->places[o]];
    } else if (size == sizeof(float)) {
        for (int64_t o = 0; o < axis->out; o++) memcpy(out + o * 4, x + axis->places[o] * (int64_t)4, 4);
    } else {
        for (int64_t o = 0; o < axis->out; o++) copy_run(out + o * size, x + axis->places[o] * size, size);
    }
}

OUNCE_INLINE void resize(const ounce_call *call, int64_t begin, int64_t end, const int64_t element) {
    const ounce_resize_params *p = call->params;
    const ounce_resize_axis *rows = &p->axis[0], *columns = &p->axis[1];
    const int64_t inner = p->inner * element, in_row = columns->taps ? columns->in * inner : inner;
    const int64_t out_row = columns->taps ? columns->out * inner : inner;
    const resize_grid grid = {p->scale, p->in_zero, ounce_make_range(-128, 127, p->out_zero)};
    for (int64_t unit = begin; unit < end; unit++) {
        const int64_t o = unit % rows->out;
        const char *x = (const char *)call->in[0] + unit / rows->out * rows->in * in_row;
        char *out = (char *)call->out + unit * out_row;
        if (rows->weights) {
            if (element == 1) resize_unit(out, x, p, o, call->scratch, &grid, INT8S, TO_INT8S);
            else resize_unit(out, x, p, o, call->scratch, &grid, FLOATS, TO_FLOATS);
        } else if (columns->taps) {
            move_slices(out, x + rows->places[o] * in_row, columns, inner);
        } else {
            copy_run(out, x + rows->places[o] * in_row, inner);
        }
    }
}

void OUNCE_NAME(resize_f32)(const ounce_call *call, int64_t begin, int64_t end) { resize(call, begin, end, 4); }
void OUNCE_NAME(resize_s8)(const ounce_call *call, int64_t begin, int64_t end) { resize(call, begin, end, 1); }
