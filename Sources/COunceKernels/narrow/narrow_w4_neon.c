#if defined(__aarch64__)
#define NARROW_BITS 4
#define NARROW_SUFFIX _w4
#include "narrow_neon.h"
#endif
