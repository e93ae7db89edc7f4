// Copies bytes that lie side by side.
#ifndef OUNCE_COPY_RUN_H
#define OUNCE_COPY_RUN_H

#include "../common.h"

// Whole vectors, the last of them overlapping the one before.
#define COPY_VECTORS(width)                                                                   \
    do {                                                                                      \
        for (int64_t i = 0; i + width < bytes; i += width) memcpy(to + i, from + i, width);   \
        memcpy(to + bytes - width, from + bytes - width, width);                              \
    } while (0)
OUNCE_INLINE void copy_run(char *restrict to, const char *restrict from, int64_t bytes) {
    if (bytes >= 1024) {
        memcpy(to, from, (size_t)bytes);
    } else if (bytes >= 64) {
        COPY_VECTORS(64);
    } else if (bytes >= 16) {
        COPY_VECTORS(16);
    } else if (bytes >= 4) {
        COPY_VECTORS(4);
    } else {
        for (int64_t i = 0; i < bytes; i++) to[i] = from[i];
    }
}
#undef COPY_VECTORS

#endif
