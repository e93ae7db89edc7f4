#include <fcntl.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

/* pipe2(2) and prlimit(2): glibc declares them under _GNU_SOURCE only, which Swift's importer does not set. */
static inline int ounce_pipe_cloexec(int ends[2]) { return (int)syscall(SYS_pipe2, ends, O_CLOEXEC); }

/* Bounds the private writable memory of another process, in bytes. */
static inline int ounce_limit_data(pid_t process, uint64_t bytes) {
    uint64_t limit[2] = {bytes, bytes};
    return (int)syscall(SYS_prlimit64, process, RLIMIT_DATA, limit, (void *)0);
}
