#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../include/ounce_kernels.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void ounce_futex_wait(const uint32_t *word, uint32_t expected) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

void ounce_futex_wake(const uint32_t *word, int waiters) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, waiters, NULL, NULL, 0);
}

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

// Looks often and pauses seldom: a hypervisor takes many pauses in a row for a thread with nothing to do, and puts its CPU
// aside for tens of microseconds.
#define SPIN(word, expected, nanoseconds)                                 \
    for (int64_t end = now() + (nanoseconds);; ounce_pause()) {           \
        for (int looks = 0; looks < 64; looks++) {                        \
            if (__atomic_load_n(word, __ATOMIC_SEQ_CST) != (expected)) return; \
        }                                                                 \
        if (now() >= end) return;                                         \
    }

void ounce_spin_while(const uint32_t *word, uint32_t expected, int64_t nanoseconds) { SPIN(word, expected, nanoseconds) }
void ounce_spin_while64(const uint64_t *word, uint64_t expected, int64_t nanoseconds) { SPIN(word, expected, nanoseconds) }

int32_t ounce_thread_id(void) { return (int32_t)syscall(SYS_gettid); }

int ounce_current_cpu(void) { return sched_getcpu(); }

void ounce_keep_off(int32_t thread, int cpu) {
    cpu_set_t cpus;
    if (cpu < 0 || cpu >= CPU_SETSIZE || sched_getaffinity(0, sizeof cpus, &cpus) != 0) return;
    CPU_CLR(cpu, &cpus);
    if (CPU_COUNT(&cpus) > 0) sched_setaffinity(thread, sizeof cpus, &cpus);
}
