#if defined(__x86_64__)
#include "../conv/amx.h"
#include "peak.h"

AMX_TARGET

// Four tiles of sums of 16x16 from two tiles of each operand, as the kernel has them.
int64_t ounce_peak_s8_amx(int64_t rounds) {
    amx_config config = {.palette = 1};
    for (int tile = 0; tile < 8; tile++) config.rows[tile] = 16, config.row_bytes[tile] = 64;
    static const int8_t zeros[1024];
    amx_configure(&config);
    amx_load(0, zeros, 64);
    amx_load(1, zeros, 64);
    amx_load(2, zeros, 64);
    amx_load(3, zeros, 64);
    amx_load(4, zeros, 64);
    amx_load(5, zeros, 64);
    amx_load(6, zeros, 64);
    amx_load(7, zeros, 64);
    for (int64_t r = 0; r < rounds; r++) {
        amx_dot(0, 4, 6);
        amx_dot(1, 4, 7);
        amx_dot(2, 5, 6);
        amx_dot(3, 5, 7);
    }
    amx_release();
    return rounds * 4 * 16 * 16 * 64;
}

TARGET_END
#endif
