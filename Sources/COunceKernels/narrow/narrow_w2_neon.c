#if defined(__aarch64__)
#define NARROW_BITS 2
#define NARROW_SUFFIX _w2
#include "narrow_neon.h"
#endif
