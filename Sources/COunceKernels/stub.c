#include "ounce_kernels.h"
