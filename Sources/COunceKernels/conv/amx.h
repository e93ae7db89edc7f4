// The few AMX instructions that kernels use. With OUNCE_EMULATE_AMX (tests only) they are plain C that does what the
// instructions do (Intel's Architecture Instruction Set Extensions Programming Reference, chapter "Intel AMX"), faults
// included, so that kernels can be tested where no CPU has them.
#ifndef OUNCE_AMX_H
#define OUNCE_AMX_H

#include "../common.h"

// What LDTILECFG reads.
typedef struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} amx_config;

#if !defined(OUNCE_EMULATE_AMX)

#define AMX_TARGET TARGET("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,amx-tile,amx-int8")
#define amx_configure(config) _tile_loadconfig(config)
#define amx_release() _tile_release()
#define amx_load(tile, from, step) _tile_loadd(tile, from, step)
#define amx_store(tile, to, step) _tile_stored(tile, to, step)
#define amx_dot(sums, a, b) _tile_dpbssd(sums, a, b)

#else

#define AMX_TARGET TARGET("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")

typedef struct {
    amx_config config;
    uint8_t data[8][16][64];
} amx_state;
static _Thread_local amx_state amx;

#define AMX_FAULT_IF(condition) \
    if (condition) __builtin_trap()

static inline void amx_configure(const amx_config *config) {
    AMX_FAULT_IF(config->palette != 1 || config->start_row != 0);
    for (int i = 0; i < 14; i++) AMX_FAULT_IF(config->reserved[i]);
    for (int tile = 0; tile < 16; tile++) {
        AMX_FAULT_IF(config->row_bytes[tile] > 64 || config->rows[tile] > 16);
        AMX_FAULT_IF(!config->row_bytes[tile] != !config->rows[tile]);
        AMX_FAULT_IF(tile >= 8 && config->rows[tile]);
    }
    memset(&amx, 0, sizeof amx);
    amx.config = *config;
}
static inline void amx_release(void) { memset(&amx, 0, sizeof amx); }

static inline void amx_load(int tile, const void *from, int64_t step) {
    AMX_FAULT_IF(amx.config.palette == 0 || amx.config.rows[tile] == 0);
    memset(amx.data[tile], 0, sizeof amx.data[tile]);
    for (int row = 0; row < amx.config.rows[tile]; row++) {
        memcpy(amx.data[tile][row], (const char *)from + row * step, amx.config.row_bytes[tile]);
    }
}

static inline void amx_store(int tile, void *to, int64_t step) {
    AMX_FAULT_IF(amx.config.palette == 0 || amx.config.rows[tile] == 0);
    for (int row = 0; row < amx.config.rows[tile]; row++) {
        memcpy((char *)to + row * step, amx.data[tile][row], amx.config.row_bytes[tile]);
    }
}

// TDPBSSD: sums[m][n] += a[m][4 k + i] * b[k][4 n + i], signed bytes, 32-bit sums that wrap around.
static inline void amx_dot(int sums, int a, int b) {
    const amx_config *c = &amx.config;
    AMX_FAULT_IF(c->palette == 0 || sums == a || sums == b || a == b);
    AMX_FAULT_IF(c->rows[sums] == 0 || c->rows[a] == 0 || c->rows[b] == 0);
    AMX_FAULT_IF(c->rows[sums] != c->rows[a] || c->row_bytes[sums] != c->row_bytes[b]);
    AMX_FAULT_IF(c->row_bytes[sums] % 4 || c->row_bytes[a] % 4 || c->row_bytes[a] / 4 != c->rows[b]);
    for (int m = 0; m < c->rows[sums]; m++) {
        for (int n = 0; n < c->row_bytes[sums] / 4; n++) {
            uint32_t sum;
            memcpy(&sum, amx.data[sums][m] + 4 * n, 4);
            for (int k = 0; k < c->row_bytes[a] / 4; k++) {
                for (int i = 0; i < 4; i++) {
                    const int32_t product = (int8_t)amx.data[a][m][4 * k + i] * (int8_t)amx.data[b][k][4 * n + i];
                    sum += (uint32_t)product;
                }
            }
            memcpy(amx.data[sums][m] + 4 * n, &sum, 4);
        }
    }
}

#endif
#endif
