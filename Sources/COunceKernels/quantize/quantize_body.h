// Quantise and dequantise; compiled once for each instruction set. A unit is a chunk of elements. The including file may
// have defined QUANTIZE_VECTORS.

OUNCE_INLINE int8_t quantize_one(float x, float scale, int32_t zero) {
    float v = x / scale;
    v = v == v ? v : 0.0f;
    return ounce_round(v, ounce_make_range(-128, 127, zero));
}

void OUNCE_NAME(quantize)(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_quantize_params *p = call->params;
    const int64_t first = begin * OUNCE_CHUNK, last = ounce_min64(p->count, end * OUNCE_CHUNK);
    const float *in = call->in[0];
    int8_t *restrict out = call->out;
    const float *scales = p->scales;
    const int32_t *zeros = p->zeros;
    if (p->channels <= 1) {
        const float scale = scales[0];
        const int32_t zero = zeros[0];
        int64_t i = first;
#ifdef QUANTIZE_VECTORS
        i += quantize_vectors(out + i, in + i, last - i, scale, zero);
#endif
        for (; i < last; i++) out[i] = quantize_one(in[i], scale, zero);
        return;
    }
    for (int64_t i = first; i < last;) {
        const int64_t c = i % p->channels, n = ounce_min64(p->channels - c, last - i);
        for (int64_t k = 0; k < n; k++) out[i + k] = quantize_one(in[i + k], scales[c + k], zeros[c + k]);
        i += n;
    }
}

void OUNCE_NAME(dequantize)(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_quantize_params *p = call->params;
    const int64_t first = begin * OUNCE_CHUNK, last = ounce_min64(p->count, end * OUNCE_CHUNK);
    const int8_t *in = call->in[0];
    float *restrict out = call->out;
    const float *scales = p->scales;
    const int32_t *zeros = p->zeros;
    if (p->channels <= 1) {
        const float scale = scales[0];
        const int32_t zero = zeros[0];
        for (int64_t i = first; i < last; i++) out[i] = (float)(in[i] - zero) * scale;
        return;
    }
    for (int64_t i = first; i < last;) {
        const int64_t c = i % p->channels, n = ounce_min64(p->channels - c, last - i);
        for (int64_t k = 0; k < n; k++) out[i + k] = (float)(in[i + k] - zeros[c + k]) * scales[c + k];
        i += n;
    }
}
