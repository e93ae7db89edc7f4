#if defined(__x86_64__)
#define NARROW_BITS 2
#define NARROW_SUFFIX _w2
#include "narrow_avx2.h"
#endif
