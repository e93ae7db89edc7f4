// Moves elements between two strided boxes; compiled once for each instruction set. See copy_plan.h for the units.
#include "copy_plan.h"
#include "run.h"
#include "transpose.h"

// Sixteen bytes of one element, and how many bytes it has.
typedef struct {
    tile64 bytes;
    int64_t size;
} copy_pattern;

OUNCE_INLINE copy_pattern make_copy_pattern(const ounce_copy_params *p) {
    uint64_t element = p->fill;
    for (int64_t bits = 8 * p->element_size; bits < 64; bits *= 2) {
        element = (element & ((1ULL << bits) - 1)) | element << bits;
    }
    return (copy_pattern){{element, element}, p->element_size};
}

// `bytes` is a whole number of elements.
OUNCE_INLINE void copy_fill(char *to, int64_t bytes, copy_pattern pattern) {
    if (bytes >= 16) {
        for (int64_t i = 0; i + 16 < bytes; i += 16) memcpy(to + i, &pattern.bytes, 16);
        memcpy(to + bytes - 16, &pattern.bytes, 16);
    } else {
        for (int64_t i = 0; i < bytes; i += pattern.size) memcpy(to + i, &pattern.bytes, (size_t)pattern.size);
    }
}

// Where an outer index begins.
typedef struct {
    int64_t index[OUNCE_MAX_RANK], in, out;
} copy_place;

OUNCE_INLINE copy_place copy_place_of(const copy_plan *c, int64_t outer) {
    copy_place place = {.in = 0};
    for (int i = c->rank - 1; i >= 0; i--) {
        place.index[i] = outer % c->axis[i].extent;
        outer /= c->axis[i].extent;
        place.in += place.index[i] * c->axis[i].in;
        place.out += place.index[i] * c->axis[i].out;
    }
    return place;
}

OUNCE_INLINE void copy_advance(const copy_plan *c, copy_place *place) {
    for (int i = c->rank - 1; i >= 0; i--) {
        const copy_axis *axis = &c->axis[i];
        place->in += axis->in, place->out += axis->out;
        if (++place->index[i] < axis->extent) return;
        place->index[i] = 0;
        place->in -= axis->extent * axis->in, place->out -= axis->extent * axis->out;
    }
}

#define COPY_SWITCH(size, call)      \
    switch (size) {                  \
    case 1: call(8); break;          \
    case 2: call(16); break;         \
    case 4: call(32); break;         \
    default: call(64); break;        \
    }

#define STRIDED_LOOP(bits)                                                                                          \
    static void strided##bits(const char *in, int64_t in_step, char *out, int64_t out_step, int64_t count) {         \
        if (out_step == bits / 8) {                                                                                 \
            for (int64_t i = 0; i < count; i++) ((any##bits *)out)[i] = *(const any##bits *)(in + i * in_step);      \
        } else {                                                                                                    \
            for (int64_t i = 0; i < count; i++) *(any##bits *)(out + i * out_step) = *(const any##bits *)(in + i * in_step); \
        }                                                                                                           \
    }
STRIDED_LOOP(8)
STRIDED_LOOP(16)
STRIDED_LOOP(32)
STRIDED_LOOP(64)

// One block of an outer index.
static void copy_block(const copy_plan *c, const char *in, char *out, int64_t line, int64_t inner) {
    const int64_t k = line * c->line_block, i = inner * c->inner_block;
    const int64_t lines = line == c->line_blocks - 1 ? c->line.extent - k : c->line_block;
    const int64_t count = inner == c->inner_blocks - 1 ? c->inner.extent - i : c->inner_block;
    const int64_t in_step = c->line.in, out_step = c->line.out;
    in += k * in_step + i * c->inner.in, out += k * out_step + i * c->inner.out;
    switch (c->kind) {
    case COPY_RUNS:
        for (int64_t n = 0; n < lines; n++) copy_run(out + n * out_step, in + n * in_step, count);
        break;
    case COPY_TRANSPOSE:
#define CALL(bits) transpose##bits(in, c->inner.in, out, out_step, lines, count)
        COPY_SWITCH(c->size, CALL)
#undef CALL
        break;
    case COPY_STRIDED:
#define CALL(bits) strided##bits(in, c->inner.in, out, c->inner.out, count)
        COPY_SWITCH(c->size, CALL)
#undef CALL
    }
}

OUNCE_INLINE void copy_unit(const copy_plan *c, const char *in, char *out, int64_t unit) {
    const int64_t blocks = c->line_blocks * c->inner_blocks, block = unit % blocks, first = unit / blocks * c->group;
    const int64_t end = ounce_min64(c->outer, first + c->group);
    copy_place place = copy_place_of(c, first);
    for (int64_t outer = first; outer < end; outer++, copy_advance(c, &place)) {
        copy_block(c, in + place.in, out + place.out, block / c->inner_blocks, block % c->inner_blocks);
    }
}

// The lines of a block of runs, each with the gap before it; the first of all has its gap filled by the caller.
OUNCE_INLINE void copy_filled_runs(const copy_plan *c, const char *in, char *out, int64_t block, copy_pattern pattern,
                                   int hole) {
    const int64_t first = block * c->line_block, bytes = c->inner.extent, gap = c->line.out - bytes;
    const int64_t end = block == c->line_blocks - 1 ? c->line.extent : first + c->line_block;
    for (int64_t line = first; line < end; line++) {
        char *to = out + line * c->line.out;
        if (line > 0) copy_fill(to - gap, gap, pattern);
        if (!hole) copy_run(to, in + line * c->line.in, bytes);
    }
}

// What a unit copies, with all filled that lies before it, and after the last one of all.
OUNCE_INLINE void copy_filled_unit(const copy_plan *c, const ounce_copy_params *p, const ounce_call *call, int64_t unit,
                                   copy_pattern pattern) {
    const int64_t blocks = c->kind == COPY_RUNS ? c->line_blocks : 1, block = unit % blocks;
    const int64_t first = unit / blocks * c->group, end = ounce_min64(c->outer, first + c->group);
    const char *in = (const char *)call->in[0] + p->in_offset * pattern.size;
    char *start = (char *)call->out, *out = start + p->out_offset * pattern.size;
    char *filled = first == 0 ? start : out + copy_place_of(c, first - 1).out + c->span;
    copy_place place = copy_place_of(c, first);
    for (int64_t outer = first; outer < end; outer++, copy_advance(c, &place)) {
        char *to = out + place.out;
        if (block == 0) copy_fill(filled, to - filled, pattern);
        if (c->kind == COPY_RUNS) {
            copy_filled_runs(c, in + place.in, to, block, pattern, p->hole);
        } else {
            for (int64_t i = 0; i < c->line_blocks * c->inner_blocks; i++) {
                copy_block(c, in + place.in, to, i / c->inner_blocks, i % c->inner_blocks);
            }
        }
        filled = to + c->span;
    }
    if (end == c->outer && block == blocks - 1) copy_fill(filled, start + p->fill_count * pattern.size - filled, pattern);
}

void OUNCE_NAME(copy)(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_copy_params *p = call->params;
    const copy_plan c = make_copy_plan(p);
    const copy_pattern pattern = make_copy_pattern(p);
    if (c.gaps) {
        for (int64_t unit = begin; unit < end; unit++) copy_filled_unit(&c, p, call, unit, pattern);
        return;
    }
    if (p->fill_count > 0) {
        if (begin >= end) return;
        copy_fill(call->out, p->fill_count * pattern.size, pattern);
        begin = 0, end = copy_units(&c);
    }
    const char *in = (const char *)call->in[0] + p->in_offset * pattern.size;
    char *out = (char *)call->out + p->out_offset * pattern.size;
    for (int64_t unit = begin; unit < end; unit++) copy_unit(&c, in, out, unit);
}
#undef COPY_SWITCH
#undef STRIDED_LOOP
