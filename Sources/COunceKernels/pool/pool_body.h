// Pooling, vectorised over blocks of channels; compiled once for each instruction set. A unit is one output pixel.
#define BLOCK 64

typedef struct {
    const ounce_pool_params *p;
    int64_t first_y, end_y, first_x, end_x;  // the taps inside the input
    int64_t in, out;                         // offsets of tap (0, 0), which may lie outside, and of the output pixel
} window;

// The taps t in 0..<kernel with 0 <= start + t * dilation < extent.
static void clip(int64_t start, int64_t kernel, int64_t dilation, int64_t extent, int64_t *first, int64_t *end) {
    *first = start >= 0 ? 0 : ounce_min64(kernel, (-start + dilation - 1) / dilation);
    *end = extent <= start ? 0 : ounce_min64(kernel, (extent - start + dilation - 1) / dilation);
    if (*end < *first) *end = *first;
}

static window make_window(const ounce_pool_params *p, int64_t pixel) {
    const int64_t x = pixel % p->out_w, row = pixel / p->out_w, y = row % p->out_h, image = row / p->out_h;
    const int64_t top = y * p->stride_h - p->pad_top, left = x * p->stride_w - p->pad_left;
    window w = {.p = p};
    clip(top, p->kernel_h, p->dilation_h, p->in_h, &w.first_y, &w.end_y);
    clip(left, p->kernel_w, p->dilation_w, p->in_w, &w.first_x, &w.end_x);
    w.in = image * p->in_image + top * p->in_row + left * p->in_pixel;
    w.out = image * p->out_image + y * p->out_row + x * p->out_pixel;
    return w;
}

static int64_t tap(const window *w, int64_t y, int64_t x) {
    return w->in + y * w->p->dilation_h * w->p->in_row + x * w->p->dilation_w * w->p->in_pixel;
}
static int64_t window_count(const window *w) { return (w->end_y - w->first_y) * (w->end_x - w->first_x); }
static int64_t divisor(const window *w) {
    const int64_t all = (int64_t)w->p->kernel_h * w->p->kernel_w;
    return ounce_max64(1, w->p->count_padding ? all : window_count(w));
}

#define FOR_TAPS(w, in_pointer, type)                                                   \
    for (int64_t y = (w).first_y; y < (w).end_y; y++)                                   \
        for (int64_t x = (w).first_x; x < (w).end_x; x++)                               \
            for (const type *v = (in_pointer) + tap(&(w), y, x) + first; v; v = NULL)

void OUNCE_NAME(maxpool_f32)(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_pool_params *p = call->params;
    for (int64_t pixel = begin; pixel < end; pixel++) {
        const window w = make_window(p, pixel);
        for (int64_t first = 0; first < p->channels; first += BLOCK) {
            const int64_t n = ounce_min64(BLOCK, p->channels - first);
            float acc[BLOCK];
            for (int64_t c = 0; c < n; c++) acc[c] = -__builtin_inff();
            FOR_TAPS(w, (const float *)call->in[0], float) {
                for (int64_t c = 0; c < n; c++) acc[c] = v[c] > acc[c] ? v[c] : acc[c];
            }
            float *out = (float *)call->out + w.out + first;
            for (int64_t c = 0; c < n; c++) out[c] = ounce_clamp(acc[c], p->min, p->max);
        }
    }
}

void OUNCE_NAME(maxpool_s8)(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_pool_params *p = call->params;
    const int8_t low = (int8_t)p->out_min, high = (int8_t)p->out_max;
    for (int64_t pixel = begin; pixel < end; pixel++) {
        const window w = make_window(p, pixel);
        for (int64_t first = 0; first < p->channels; first += BLOCK) {
            const int64_t n = ounce_min64(BLOCK, p->channels - first);
            int8_t acc[BLOCK];
            for (int64_t c = 0; c < n; c++) acc[c] = low;
            FOR_TAPS(w, (const int8_t *)call->in[0], int8_t) {
                for (int64_t c = 0; c < n; c++) acc[c] = v[c] > acc[c] ? v[c] : acc[c];
            }
            int8_t *out = (int8_t *)call->out + w.out + first;
            for (int64_t c = 0; c < n; c++) out[c] = acc[c] < high ? acc[c] : high;
        }
    }
}

void OUNCE_NAME(avgpool_f32)(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_pool_params *p = call->params;
    for (int64_t pixel = begin; pixel < end; pixel++) {
        const window w = make_window(p, pixel);
        const float by = (float)divisor(&w);
        for (int64_t first = 0; first < p->channels; first += BLOCK) {
            const int64_t n = ounce_min64(BLOCK, p->channels - first);
            float acc[BLOCK];
            for (int64_t c = 0; c < n; c++) acc[c] = 0;
            FOR_TAPS(w, (const float *)call->in[0], float) {
                for (int64_t c = 0; c < n; c++) acc[c] = acc[c] + v[c];
            }
            float *out = (float *)call->out + w.out + first;
            for (int64_t c = 0; c < n; c++) out[c] = ounce_clamp(acc[c] / by, p->min, p->max);
        }
    }
}

void OUNCE_NAME(avgpool_s8)(const ounce_call *call, int64_t begin, int64_t end) {
    const ounce_pool_params *p = call->params;
    const ounce_range range = ounce_make_range(p->out_min, p->out_max, p->out_zero);
    const float lo = (float)p->out_min, hi = (float)p->out_max;
    for (int64_t pixel = begin; pixel < end; pixel++) {
        const window w = make_window(p, pixel);
        const float by = (float)divisor(&w), scale = p->scale / by;
        const int64_t zeros = p->round_away ? divisor(&w) - window_count(&w) : -window_count(&w);
        const uint32_t start = (uint32_t)zeros * (uint32_t)p->in_zero;
        for (int64_t first = 0; first < p->channels; first += BLOCK) {
            const int64_t n = ounce_min64(BLOCK, p->channels - first);
            uint32_t acc[BLOCK];
            for (int64_t c = 0; c < n; c++) acc[c] = start;
            FOR_TAPS(w, (const int8_t *)call->in[0], int8_t) {
                for (int64_t c = 0; c < n; c++) acc[c] += (uint32_t)(int32_t)v[c];
            }
            int8_t *out = (int8_t *)call->out + w.out + first;
            if (p->round_away) {
                for (int64_t c = 0; c < n; c++) {
                    float v = (float)(int32_t)acc[c] / by;
                    v = v < 0 ? v - 0.5f : v + 0.5f;
                    v = v > lo ? v : lo;
                    v = v < hi ? v : hi;
                    out[c] = (int8_t)(int32_t)v;
                }
            } else {
                for (int64_t c = 0; c < n; c++) out[c] = ounce_requantise((int32_t)acc[c], scale, range);
            }
        }
    }
}

#undef FOR_TAPS
#undef BLOCK
