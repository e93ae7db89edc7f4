// Quantisation on one grid: saturating packs do the clamp. The including file defines the vector types and the operations
// QUANTIZE_.... Packs stay within 128 bits; QUANTIZE_ORDER puts their 32-bit pieces back in order.
#define QUANTIZE_STEP ((int64_t)sizeof(quantize_bytes))

// NaN becomes 0. What is too large for int32 stays larger than any int8; what is too small converts to the least number.
OUNCE_INLINE quantize_bytes quantize_units(const float *x, quantize_floats scale) {
    return QUANTIZE_CONVERT(QUANTIZE_MIN(QUANTIZE_SPLAT(1e9f), LOAD(quantize_floats, x) / scale));
}

OUNCE_INLINE quantize_bytes quantize_vector(const float *x, quantize_floats scale, quantize_bytes zero) {
    const int64_t n = QUANTIZE_STEP / 4;
    const quantize_bytes low = QUANTIZE_PACK_32(quantize_units(x, scale), quantize_units(x + n, scale));
    const quantize_bytes high = QUANTIZE_PACK_32(quantize_units(x + 2 * n, scale), quantize_units(x + 3 * n, scale));
    return QUANTIZE_ORDER(QUANTIZE_PACK_16(QUANTIZE_ADD_16(low, zero), QUANTIZE_ADD_16(high, zero)));
}

// As many of `count` elements as whole vectors hold.
OUNCE_INLINE int64_t quantize_vectors(int8_t *out, const float *in, int64_t count, float scale, int32_t zero) {
    const quantize_floats by = QUANTIZE_SPLAT(scale);
    const quantize_bytes zeros = QUANTIZE_SPLAT_16((int16_t)zero);
    int64_t i = 0;
    for (; i + QUANTIZE_STEP <= count; i += QUANTIZE_STEP) {
        const quantize_bytes q = quantize_vector(in + i, by, zeros);
        memcpy(out + i, &q, sizeof q);
    }
    return i;
}
