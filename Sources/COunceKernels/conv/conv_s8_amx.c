// Int8 convolution by AMX: 32 pixels by 32 channels in four tile registers of sums. The sums of a unit are requantised
// while the tiles of the next one are multiplied. Tile state lives inside one call.
#if defined(__x86_64__)
#include "../target.h"

#include "amx.h"

AMX_TARGET
#define ADD_S8_AVX512
#include "amx_shape.h"
#include "residual.h"

// The pixels of a tile: where the inputs of the first stand, how far apart they are, and where outputs go.
typedef struct {
    int64_t index, count;  // count: pixels to store
    const int8_t *x;
    int64_t step, row_step, column_step;  // bytes between pixels, and between segments
    int64_t place[AMX_PIXELS];            // of each pixel to store within the tile
    int8_t *out[AMX_PIXELS];
} amx_tile;

// Sums that wait for requantisation.
typedef struct {
    const amx_tile *tile;
    const char *block;
    int64_t channel;
    int32_t sums[AMX_PIXELS][AMX_CHANNELS] __attribute__((aligned(64)));
} amx_done;

static void gather(const amx_shape *s, const int8_t *in, const int64_t *from, int8_t *to) {
    const int64_t pixel_bytes = s->packed_segments * s->depth, all = s->rows * s->columns;
    const int64_t segment_bytes = s->packed_segments == all ? s->depth : s->length;
    for (int64_t m = 0; m < AMX_PIXELS; m++) {
        int8_t *pixel = to + m * pixel_bytes;
        for (int64_t row = 0; row < s->rows; row++) {
            for (int64_t column = 0; column < s->columns; column++, pixel += segment_bytes) {
                const int8_t *x = in + from[m] + row * s->row_step + column * s->column_step;
                for (int64_t k = 0; k < s->length; k += AMX_DEPTH) {
                    _mm512_storeu_si512(pixel + k, _mm512_loadu_si512(x + k));
                }
            }
        }
    }
}

// `gathered` is the tile whose inputs the scratch holds.
static void make_tile(const ounce_call *call, const amx_shape *s, int64_t index, amx_tile *t, int64_t *gathered) {
    const int64_t line = index / s->line_tiles, wanted = index % s->line_tiles * AMX_PIXELS;
    // A line's last tile begins earlier, with places that another tile stores.
    const int64_t earliest = s->walk == AMX_GATHER ? wanted : ounce_max64(0, s->line_places - AMX_PIXELS);
    const int64_t first = ounce_min64(wanted, earliest);
    const int64_t width = s->walk == AMX_GATHER ? s->width : s->line_width;
    int64_t row = first / width + (s->walk == AMX_ROWS ? line % s->height : 0), x = first % width;
    int64_t image = s->walk == AMX_ROWS ? line / s->height : line;
    if (s->walk == AMX_GATHER) image = row / s->height, row %= s->height;
    int64_t from[AMX_PIXELS];
    t->index = index;
    t->count = 0;
    const int64_t places = ounce_min64(AMX_PIXELS, s->line_places - first);
    for (int64_t m = 0; m < places; m++) {
        from[m] = image * s->in_image + row * s->in_row + x * s->in_pixel;
        if (first + m >= wanted && x < s->width) {
            t->place[t->count] = m;
            t->out[t->count++] = (int8_t *)call->out + image * s->out_image + row * s->out_row + x * s->out_pixel;
        }
        if (++x < width) continue;
        x = 0;
        if (++row == s->height) row = 0, image++;
    }
    for (int64_t m = places; m < AMX_PIXELS; m++) from[m] = from[places - 1];
    if (s->walk != AMX_GATHER && places == AMX_PIXELS) {
        t->x = (const int8_t *)call->in[0] + from[0];
        t->step = s->in_pixel;
        t->row_step = s->row_step;
        t->column_step = s->column_step;
        return;
    }
    if (*gathered != index) gather(s, call->in[0], from, call->scratch);
    *gathered = index;
    t->x = call->scratch;
    t->step = s->packed_segments * s->depth;
    t->column_step = s->depth;
    t->row_step = s->columns * s->depth;
}

// Tiles 0 to 3: sums of pixel half i and channel half j in 2 i + j; 4 and 5: inputs; 6 and 7: weights.
OUNCE_INLINE void multiply(const amx_shape *s, const amx_tile *t, const char *block) {
    amx_load(0, block, 0);
    amx_load(1, block + 64, 0);
    amx_load(2, block, 0);
    amx_load(3, block + 64, 0);
    const char *w = block + AMX_BLOCK_HEADER;
    const int64_t rows = s->packed_segments == 1 ? 1 : s->rows, columns = s->packed_segments == 1 ? 1 : s->columns;
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t column = 0; column < columns; column++) {
            const int8_t *x = t->x + row * t->row_step + column * t->column_step;
            for (int64_t piece = 0; piece < s->pieces; piece++, x += AMX_DEPTH, w += 2048) {
                amx_load(4, x, t->step);
                amx_load(6, w, 64);
                amx_load(7, w + 1024, 64);
                amx_load(5, x + 16 * t->step, t->step);
                amx_dot(0, 4, 6);
                amx_dot(1, 4, 7);
                amx_dot(2, 5, 6);
                amx_dot(3, 5, 7);
            }
        }
    }
}

OUNCE_INLINE __m512i rounded(const int32_t *sums, __m512 scale, __m512 lo, __m512 hi, __m512i zero) {
    const __m512 v = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_load_si512(sums)), scale);
    return _mm512_add_epi32(_mm512_cvtps_epi32(_mm512_min_ps(_mm512_max_ps(v, lo), hi)), zero);
}

// The requantisation rule; vector instructions round to nearest even.
static void finish(const amx_done *done, const ounce_conv_params *p, intptr_t residual) {
    const ounce_range range = ounce_make_range(p->out_min, p->out_max, p->out_zero);
    const __m512 lo = _mm512_set1_ps(range.lo), hi = _mm512_set1_ps(range.hi);
    const __m512i zero = _mm512_set1_epi32(range.zero);
    const float *scales = (const float *)done->block + AMX_CHANNELS;
    const __m512 low = _mm512_load_ps(scales), high = _mm512_load_ps(scales + 16);
    const int64_t channels = ounce_min64(AMX_CHANNELS, p->out_c - done->channel);
    const __mmask16 low_mask = (__mmask16)(channels >= 16 ? 0xFFFF : (1 << channels) - 1);
    const __mmask16 high_mask = (__mmask16)(channels >= 32 ? 0xFFFF : channels <= 16 ? 0 : (1 << (channels - 16)) - 1);
    for (int64_t i = 0; i < done->tile->count; i++) {
        const int32_t *sums = done->sums[done->tile->place[i]];
        int8_t *out = done->tile->out[i] + done->channel;
        if (OUNCE_LIKELY(channels == AMX_CHANNELS)) {
            _mm_storeu_si128((__m128i *)out, _mm512_cvtepi32_epi8(rounded(sums, low, lo, hi, zero)));
            _mm_storeu_si128((__m128i *)(out + 16), _mm512_cvtepi32_epi8(rounded(sums + 16, high, lo, hi, zero)));
        } else {
            _mm512_mask_cvtepi32_storeu_epi8(out, low_mask, rounded(sums, low, lo, hi, zero));
            if (high_mask) {
                _mm512_mask_cvtepi32_storeu_epi8(out + 16, high_mask, rounded(sums + 16, high, lo, hi, zero));
            }
        }
    }
    if (p->has_residual) ADD_RESIDUAL(p, done->tile->out, done->channel, residual, done->tile->count, channels)
}

void ounce_conv_s8_amx(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_conv_params *p = call->params;
    const amx_shape s = make_amx_shape(p);
    const intptr_t residual = residual_offset(call);
    amx_tile tiles[2] = {{.index = -1}, {.index = -1}};
    amx_done waiting[2];
    amx_config config = {.palette = 1};
    for (int i = 0; i < 8; i++) config.row_bytes[i] = 64, config.rows[i] = 16;
    amx_configure(&config);
    int current = 0;
    int64_t gathered = -1;
    for (int64_t unit = begin; unit < end; unit++) {
        const int64_t tile = s.channels_first ? unit % s.tiles : unit / s.blocks;
        const int64_t block = s.channels_first ? unit / s.tiles : unit % s.blocks;
        if (tiles[current].index != tile) {
            current = !current;  // the other tile may still wait
            make_tile(call, &s, tile, &tiles[current], &gathered);
        }
        amx_done *now = &waiting[unit & 1];
        now->tile = &tiles[current];
        now->block = (const char *)call->packed + (size_t)block * s.block_bytes;
        now->channel = block * AMX_CHANNELS;
        multiply(&s, now->tile, now->block);
        if (unit > begin) finish(&waiting[!(unit & 1)], p, residual);
        amx_store(0, &now->sums[0][0], sizeof now->sums[0]);
        amx_store(1, &now->sums[0][16], sizeof now->sums[0]);
        amx_store(2, &now->sums[16][0], sizeof now->sums[0]);
        amx_store(3, &now->sums[16][16], sizeof now->sums[0]);
    }
    amx_release();
    if (end > begin) finish(&waiting[(end - 1) & 1], p, residual);
}
TARGET_END
#endif
