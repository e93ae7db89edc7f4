// Functions of glibc 2.38 that Swift's libraries, built against it, ask for, in terms of glibc 2.36.

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// C23's readers differ from C11's in taking 0b for binary, which nothing here relies on.
long __isoc23_strtol(const char *text, char **end, int base) { return strtol(text, end, base); }
unsigned long __isoc23_strtoul(const char *text, char **end, int base) { return strtoul(text, end, base); }
long long __isoc23_strtoll(const char *text, char **end, int base) { return strtoll(text, end, base); }
unsigned long long __isoc23_strtoull(const char *text, char **end, int base) { return strtoull(text, end, base); }

int __isoc23_sscanf(const char *text, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    const int count = vsscanf(text, format, arguments);
    va_end(arguments);
    return count;
}

// What fits in `size` bytes with its terminator is copied; the result is the length that was wanted.
size_t strlcpy(char *to, const char *from, size_t size) {
    const size_t length = strlen(from);
    if (size > 0) {
        const size_t copied = length < size ? length : size - 1;
        memcpy(to, from, copied);
        to[copied] = 0;
    }
    return length;
}

size_t strlcat(char *to, const char *from, size_t size) {
    const size_t used = strnlen(to, size);
    return used + strlcpy(to + used, from, size - used);
}
