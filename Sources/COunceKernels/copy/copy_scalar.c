#include "../kernels.h"

#define OUNCE_BODY_ISA scalar
#include "copy_body.h"

int64_t ounce_copy_units(const void *params) {
    const ounce_copy_params *p = params;
    const copy_plan c = make_copy_plan(p);
    return p->fill_count > 0 && !c.gaps ? 1 : copy_units(&c);
}
