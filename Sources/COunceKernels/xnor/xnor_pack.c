// Packs weights of +-1 as bits, and the portable kernel.
#include "bits.h"
#include "words_walk.h"

bool ounce_conv_s8_xnor_supports(const void *params, const ounce_conv_weights *weights) {
    const ounce_conv_params *p = params;
    if (p->groups != 1 || !p->in_ternary || !weights || !weights->weights) return false;
    const int8_t *w = weights->weights;
    const int64_t length = (int64_t)p->kernel_h * p->kernel_w * p->in_c;
    for (int64_t i = 0; i < length * p->out_c; i++) {
        if (w[i] != 1 && w[i] != -1) return false;
    }
    return length < INT16_MAX;
}

static int32_t start_value(const ounce_conv_params *p, const ounce_conv_weights *weights, int64_t length, int64_t n) {
    const int8_t *w = (const int8_t *)weights->weights + n * length;
    int32_t sum = 0;
    for (int64_t k = 0; k < length; k++) sum += w[k];
    const int32_t bias = weights->bias ? ((const int32_t *)weights->bias)[n] : 0;
    return ounce_wrap_add(bias, ounce_wrap_mul(-p->in_zero, sum));
}

// Bit `i` of the result is the sign of weight k + i of channel n, for eight of them.
static uint8_t sign_byte(const ounce_conv_params *p, const int8_t *w, int64_t length, int64_t n, int64_t k) {
    uint8_t byte = 0;
    for (int64_t i = 0; i < 8 && n < p->out_c && k + i < length; i++) {
        byte |= (uint8_t)((w[n * length + k + i] < 0) << i);
    }
    return byte;
}

static void pack_headers(const ounce_conv_params *p, const ounce_conv_weights *weights, char *to, size_t panel_bytes) {
    const conv_shape s = make_conv_shape(p);
    for (int64_t n = 0; n < s.panels * OUNCE_LANES; n++) {
        char *panel = to + (size_t)(n / OUNCE_LANES) * panel_bytes;
        const int inside = n < p->out_c;
        ((int32_t *)panel)[n % OUNCE_LANES] = inside ? start_value(p, weights, xnor_length(&s), n) : 0;
        ((float *)panel)[OUNCE_LANES + n % OUNCE_LANES] = inside ? weights->scale[n] : 0;
    }
}

// Eight weights of channel n: those that meet byte `at` of segment `segment` of an image of bits.
static uint8_t segment_byte(const ounce_conv_params *p, const int8_t *w, const conv_shape *s, int64_t n, int64_t segment,
                            int64_t at) {
    if (n >= p->out_c || at >= s->length) return 0;
    const int64_t elements = xnor_bit_elements(p), taps = s->length / elements, tap = segment * taps + at / elements;
    const int64_t all = (int64_t)p->kernel_h * p->kernel_w;
    return sign_byte(p, w + (n * all + tap) * p->in_c, p->in_c, 0, at % elements * 8);
}

// [segment][step][16 channels], each a word of `bytes` bytes of signs.
static void pack_words(const void *params, const ounce_conv_weights *weights, int64_t bytes, char *to) {
    const ounce_conv_params *p = params;
    const xnor_image image = make_xnor_image(p, xnor_bit_elements(p));
    const conv_shape s = make_conv_shape(&image.p);
    const size_t panel_bytes = xnor_panel_bytes(&s, bytes, (size_t)bytes * OUNCE_LANES);
    pack_headers(p, weights, to, panel_bytes);
    for (int64_t first = 0; first < p->out_c; first += OUNCE_LANES, to += panel_bytes) {
        uint8_t *byte = (uint8_t *)to + PANEL_HEADER;
        for (int64_t segment = 0; segment < s.rows * s.columns; segment++) {
            for (int64_t at = 0; at < s.length; at += bytes) {
                for (int64_t i = 0; i < OUNCE_LANES * bytes; i++) {
                    *byte++ = segment_byte(p, weights->weights, &s, first + i / bytes, segment, at + i % bytes);
                }
            }
        }
    }
}
#define WORDS(name, bytes)                                                                                         \
    size_t ounce_conv_s8_xnor_##name##_size(const void *params, const ounce_conv_weights *weights) {               \
        (void)weights;                                                                                             \
        const xnor_image image = make_xnor_image(params, xnor_bit_elements(params));                               \
        const conv_shape s = make_conv_shape(&image.p);                                                            \
        return (size_t)s.panels * xnor_panel_bytes(&s, bytes, bytes * OUNCE_LANES);                                \
    }                                                                                                              \
    void ounce_conv_s8_xnor_##name##_pack(const void *params, const ounce_conv_weights *weights, void *packed) {   \
        pack_words(params, weights, bytes, packed);                                                                \
    }
WORDS(words, 4)
WORDS(bytes, 1)
int64_t ounce_conv_s8_xnor_words_units(const void *params) {
    const xnor_image image = make_xnor_image(params, xnor_bit_elements(params));
    return xnor_words_walk(&image.p).units;
}
size_t ounce_conv_s8_xnor_bits_scratch(const void *params) {
    const xnor_image image = make_xnor_image(params, xnor_bit_elements(params));
    return 2 * (size_t)xnor_plane_bytes(&image);
}

// The sign of four weights of channel n that meet element `at` of an image of offsets.
static uint8_t table_signs(const ounce_conv_params *p, const int8_t *w, const conv_shape *s, int64_t n, int64_t segment,
                           int64_t at) {
    if (n >= p->out_c) return 0;
    const int64_t elements = xnor_table_elements(p), taps = s->length / elements, tap = segment * taps + at / elements;
    const int64_t all = (int64_t)p->kernel_h * p->kernel_w;
    return sign_byte(p, w + (n * all + tap) * p->in_c, p->in_c, 0, at % elements * 4) & 15;
}

// The table kernel: sums of four inputs for each pattern of four weight signs, for each of 256 codes of four inputs (two
// bits each: 0, 1 and 3 for -1); then the panels: [segment][two elements of the image][16 channels], each the signs of
// four weights.
size_t ounce_conv_s8_xnor_table_size(const void *params, const ounce_conv_weights *weights) {
    (void)weights;
    const xnor_image image = make_xnor_image(params, xnor_table_elements(params));
    const conv_shape s = make_conv_shape(&image.p);
    return XNOR_TABLE_BYTES + (size_t)s.panels * xnor_panel_bytes(&s, 2, 32);
}

void ounce_conv_s8_xnor_table_pack(const void *params, const ounce_conv_weights *weights, void *packed) {
    const ounce_conv_params *p = params;
    int8_t *table = packed;
    for (int code = 0; code < 256; code++) {
        for (int signs = 0; signs < 16; signs++) {
            int sum = 0;
            for (int i = 0; i < 4; i++) {
                const int field = code >> 2 * i & 3, x = field == 3 ? -1 : field;
                sum += signs >> i & 1 ? -x : x;
            }
            *table++ = (int8_t)sum;
        }
    }
    const xnor_image image = make_xnor_image(p, xnor_table_elements(p));
    const conv_shape s = make_conv_shape(&image.p);
    const size_t panel_bytes = xnor_panel_bytes(&s, 2, 32);
    char *to = (char *)table;
    pack_headers(p, weights, to, panel_bytes);
    for (int64_t first = 0; first < p->out_c; first += OUNCE_LANES, to += panel_bytes) {
        uint8_t *byte = (uint8_t *)to + PANEL_HEADER;
        for (int64_t segment = 0; segment < s.rows * s.columns; segment++) {
            for (int64_t at = 0; at < s.length; at++) {
                for (int64_t lane = 0; lane < OUNCE_LANES; lane++) {
                    *byte++ = table_signs(p, weights->weights, &s, first + lane, segment, at);
                }
            }
        }
    }
}

size_t ounce_conv_s8_xnor_table_scratch(const void *params) {
    const xnor_image image = make_xnor_image(params, xnor_table_elements(params));
    return (size_t)xnor_image_elements(&image) * sizeof(uint16_t);
}

size_t ounce_conv_s8_xnor_plain_scratch(const void *params) {
    const conv_shape s = make_conv_shape(params);
    return (size_t)xnor_padded(&s) * 5 / 4;
}

// Portable: for each channel its start value and scale, then its signs in words of 64.
size_t ounce_conv_s8_xnor_plain_size(const void *params, const ounce_conv_weights *weights) {
    (void)weights;
    const ounce_conv_params *p = params;
    const conv_shape s = make_conv_shape(p);
    return (size_t)p->out_c * (8 + (size_t)xnor_padded(&s) / 8);
}

void ounce_conv_s8_xnor_plain_pack(const void *params, const ounce_conv_weights *weights, void *packed) {
    const ounce_conv_params *p = params;
    const conv_shape s = make_conv_shape(p);
    uint8_t *to = packed;
    for (int64_t n = 0; n < p->out_c; n++) {
        const int32_t start = start_value(p, weights, xnor_length(&s), n);
        memcpy(to, &start, 4);
        memcpy(to + 4, &weights->scale[n], 4);
        to += 8;
        for (int64_t k = 0; k < xnor_padded(&s); k += 8) {
            *to++ = sign_byte(p, weights->weights, xnor_length(&s), n, k);
        }
    }
}

void ounce_conv_s8_scalar_xnor(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_conv_params *p = call->params;
    const conv_shape s = make_conv_shape(p);
    const int64_t padded = xnor_padded(&s), words = padded / 64;
    int8_t *row = call->scratch;
    uint8_t *bits = (uint8_t *)row + padded;
    const ounce_range range = ounce_make_range(p->out_min, p->out_max, p->out_zero);
    for (int64_t pixel = begin; pixel < end; pixel++) {
        int64_t in_offset, out_offset;
        ounce_conv_offsets(p, pixel, pixel + 1, 1, &in_offset, &out_offset);
        xnor_gather((const int8_t *)call->in[0] + in_offset, &s, row);
        uint32_t count = 0;
        for (int64_t k = 0; k < padded; k += 8) {
            bits[k / 8] = xnor_signs(row + k);
            bits[padded / 8 + k / 8] = xnor_mask(row + k);
            count += (uint32_t)__builtin_popcount(bits[padded / 8 + k / 8]);
        }
        const char *channel = call->packed;
        for (int64_t n = 0; n < p->out_c; n++, channel += 8 + padded / 8) {
            uint32_t differing = 0;
            for (int64_t word = 0; word < words; word++) {
                const uint64_t signs = LOAD(uint64_t, bits + 8 * word), mask = LOAD(uint64_t, bits + padded / 8 + 8 * word);
                const uint64_t w = LOAD(uint64_t, channel + 8 + 8 * word);
                differing += (uint32_t)__builtin_popcountll((signs ^ w) & mask);
            }
            const int32_t acc = (int32_t)(LOAD(uint32_t, channel) + count - 2 * differing);
            int8_t *out = (int8_t *)call->out + out_offset + n;
            *out = ounce_requantise(acc, LOAD(float, channel + 4), range);
            if (p->has_residual) *out = add_one_s8(&p->residual, *out, *RESIDUAL(out, residual_offset(call)));
        }
    }
}
