#include <fcntl.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

/* pipe2(2) and prlimit(2): glibc declares them under _GNU_SOURCE only, which Swift's importer does not set. */
static inline int ounce_pipe_cloexec(int ends[2]) { return (int)syscall(SYS_pipe2, ends, O_CLOEXEC); }

/* Keeps this thread, and those that it starts from now on, on the CPUs listed. */
static inline int ounce_set_affinity(const int *cpus, int count) {
    unsigned long mask[4096 / (8 * sizeof(unsigned long))] = {0};
    for (int i = 0; i < count; i++)
        if (cpus[i] >= 0 && cpus[i] < 4096)
            mask[cpus[i] / (8 * sizeof(unsigned long))] |= 1ul << (cpus[i] % (8 * sizeof(unsigned long)));
    return (int)syscall(SYS_sched_setaffinity, 0, sizeof mask, mask);
}

/* Bounds the private writable memory of another process, in bytes. */
static inline int ounce_limit_data(pid_t process, uint64_t bytes) {
    uint64_t limit[2] = {bytes, bytes};
    return (int)syscall(SYS_prlimit64, process, RLIMIT_DATA, limit, (void *)0);
}
