#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "../include/ounce_kernels.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

void ounce_futex_wait(const uint32_t *word, uint32_t expected) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

void ounce_futex_wake(const uint32_t *word, int waiters) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, waiters, NULL, NULL, 0);
}
