#if defined(__x86_64__)
#define NARROW_BITS 4
#define NARROW_SUFFIX _w4
#include "narrow_avxvnni.h"
#endif
