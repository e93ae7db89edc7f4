#define OUNCE_BODY_ISA scalar
#include "recurrent_body.h"
