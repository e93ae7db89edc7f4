// Runs every kernel that this CPU can run on random steps and compares it, bit for bit, with the naive reference.
//   kernel_tests [seed [steps for each family]]      kernel_tests bench
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "kernel_tests.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static uint64_t state;
uint32_t random_bits(void) {  // splitmix64
    uint64_t z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (uint32_t)((z ^ z >> 31) >> 16);
}
int random_int(int low, int high) { return low + (int)(random_bits() % (uint32_t)(high - low + 1)); }
float random_float(float low, float high) {
    return (float)(low + ((double)high - low) * ((double)random_bits() / 4294967295.0));
}

// Memory between two pages that nobody may touch: flush with the upper one, or with the lower one. What of the room is
// left over holds a canary.
typedef struct {
    char *map, *data;
    size_t map_bytes, room, bytes;
} guarded;
#define CANARY 0xA5

static guarded guard(size_t bytes, size_t alignment, int flush_high) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), rounded = (bytes + alignment - 1) / alignment * alignment;
    guarded g = {.room = (rounded + page - 1) / page * page, .bytes = bytes};
    if (g.room == 0) g.room = page;
    g.map_bytes = g.room + 2 * page;
    g.map = mmap(NULL, g.map_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (g.map == MAP_FAILED || mprotect(g.map + page, g.room, PROT_READ | PROT_WRITE)) {
        perror("mmap");
        exit(2);
    }
    memset(g.map + page, CANARY, g.room);
    g.data = g.map + page + (flush_high ? g.room - rounded : 0);
    return g;
}
static int canary_lives(const guarded *g) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (const char *c = g->map + page; c < g->map + page + g->room; c++) {
        if ((c < g->data || c >= g->data + g->bytes) && (unsigned char)*c != CANARY) return 0;
    }
    return 1;
}
static void release(guarded *g) { munmap(g->map, g->map_bytes); }

static int same(const step *s, const char *a, const char *b, size_t *where) {
    if (!has_float_output(s)) {
        for (*where = 0; *where < s->out_bytes; ++*where)
            if (a[*where] != b[*where]) return 0;
        return 1;
    }
    for (*where = 0; *where < s->out_bytes / 4; ++*where) {
        float x, y;
        memcpy(&x, a + *where * 4, 4), memcpy(&y, b + *where * 4, 4);
        if (memcmp(&x, &y, 4) && !(isnan(x) && isnan(y))) return 0;
    }
    return 1;
}

// The units in one go, or in pieces of random length, last piece first.
static void run_units(const ounce_kernel *k, const ounce_call *call, int64_t units, int pieces) {
    if (!pieces) {
        k->run(call, 0, units);
        return;
    }
    while (units > 0) {
        const int64_t begin = units - random_int(1, units > 60 ? 60 : (int)units);
        k->run(call, begin, units);
        units = begin;
    }
}

static int check(const ounce_kernel *k, const step *s, const char *expected, int flush_high, int pieces) {
    const int has_floats = has_float_output(s) || s->family == OUNCE_QUANTIZE || s->family == OUNCE_ATTENTION_S8;
    const size_t alignment = has_floats ? 4 : s->family == OUNCE_COPY ? 8 : 1;
    guarded in[4], out = guard(s->out_bytes, alignment, flush_high);
    for (int i = 0; i < 4; i++) {
        in[i] = guard(s->in_bytes[i] + OUNCE_SLACK, alignment, flush_high);
        if (s->in_bytes[i]) memcpy(in[i].data, s->in[i], s->in_bytes[i]);
        in[i].bytes = s->in_bytes[i];
    }
    const size_t packed_bytes = k->packed_size ? k->packed_size(&s->p, &s->weights) : 0;
    const size_t scratch_bytes = k->scratch_size ? k->scratch_size(&s->p) : 0;
    guarded packed = guard(packed_bytes, 64, 1), scratch = guard(scratch_bytes, 64, 1);
    if (k->pack) k->pack(&s->p, &s->weights, packed.data);
    if (packed_bytes) mprotect(packed.map + sysconf(_SC_PAGESIZE), packed.room, PROT_READ);
    ounce_call call = {&s->p, packed_bytes ? packed.data : NULL, {in[0].data, in[1].data},
        out.data, scratch.data};
    for (int i = 0; i < 4; i++) call.in[i] = s->in[i] ? in[i].data : NULL;
    run_units(k, &call, k->units(&s->p), pieces);
    size_t where;
    const int equal = same(s, out.data, expected, &where);
    const int intact = canary_lives(&out) && canary_lives(&packed) && canary_lives(&scratch) && canary_lives(&in[0]);
    if (!equal) printf("FAILED %s: differs at element %zu (%s)\n", k->name, where, s->text);
    if (!intact) printf("FAILED %s: wrote outside its memory (%s)\n", k->name, s->text);
    guarded all[] = {in[0], in[1], in[2], in[3], out, packed, scratch};
    for (int i = 0; i < 7; i++) release(&all[i]);
    return equal && intact;
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    state = 20;
    if (argc > 1 && !strcmp(argv[1], "bench")) {
        benchmark();
        return 0;
    }
    const uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : (uint64_t)time(NULL);
    const int steps = argc > 2 ? atoi(argv[2]) : 300;
    state = seed;
    printf("kernel tests: seed %llu, %d steps for each family\n", (unsigned long long)seed, steps);
    const uint32_t isas = ounce_cpu_isas();
    size_t count;
    const ounce_kernel *kernels = ounce_kernels(&count);
    int passed = 0, failed = 0, skipped = 0, *runs = calloc(count, sizeof *runs);
    if (check_polynomials()) passed++;
    else failed++;
    for (int family = 0; family < OUNCE_FAMILY_COUNT; family++) {
        if (argc > 3 && strcmp(argv[3], ounce_family_name((ounce_family)family))) continue;
        for (int i = 0; i < steps && failed < 20; i++) {
            step *s = make_step((ounce_family)family);
            char *expected = malloc(s->out_bytes);
            memset(expected, CANARY, s->out_bytes);
            if (!reference(s, expected)) {
                printf("FAILED reference of %s is inexact (%s)\n", ounce_family_name((ounce_family)family), s->text);
                failed++;
            }
            for (size_t n = 0; n < count; n++) {
                const ounce_kernel *k = &kernels[n];
                if ((int)k->family != family || !(isas & 1u << k->isa)) continue;
                if (k->supports && !k->supports(&s->p, s->has_weights ? &s->weights : NULL)) continue;
                runs[n]++;
                for (int pieces = 0; pieces < 2; pieces++) {
                    if (check(k, s, expected, i & 1 || pieces, pieces)) passed++;
                    else failed++;
                }
            }
            free(expected);
            free_step(s);
        }
    }
    for (size_t n = 0; n < count; n++) {
        if (!(isas & 1u << kernels[n].isa)) {
            printf("skipped %s: this CPU has no %s\n", kernels[n].name, ounce_isa_name(kernels[n].isa));
            skipped++;
        } else if (runs[n] == 0 && failed == 0 && argc <= 3) {
            printf("FAILED %s: refused every step\n", kernels[n].name);
            failed++;
        } else {
            printf("ran %s on %d steps\n", kernels[n].name, runs[n]);
        }
    }
    printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
    free(runs);
    return failed > 0;
}
