// Normalisation, optimiser updates and fake quantisation.

static void moments(const float *x, int64_t rows, int64_t channels, float *restrict means, float *restrict variances) {
    for (int64_t c = 0; c < channels; c++) means[c] = variances[c] = 0;
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t c = 0; c < channels; c++) means[c] += x[row * channels + c];
    }
    for (int64_t c = 0; c < channels; c++) means[c] /= (float)rows;
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t c = 0; c < channels; c++) {
            const float d = x[row * channels + c] - means[c];
            variances[c] += d * d;
        }
    }
    for (int64_t c = 0; c < channels; c++) variances[c] /= (float)rows;
}

static void affine(const float *x, const float *scale, const float *shift, float *restrict y, int64_t rows,
                   int64_t channels) {
    for (int64_t row = 0; row < rows; row++, x += channels, y += channels) {
        for (int64_t c = 0; c < channels; c++) y[c] = x[c] * scale[c] + shift[c];
    }
}

static void gradient_sums(const float *x, const float *dy, int64_t rows, int64_t channels, float *restrict sum,
                          float *restrict dot) {
    for (int64_t row = 0; row < rows; row++, x += channels, dy += channels) {
        for (int64_t c = 0; c < channels; c++) {
            sum[c] += dy[c];
            dot[c] += dy[c] * x[c];
        }
    }
}

static void affine_gradient(const float *x, const float *dy, const float *a, const float *b, const float *shift,
                            float *restrict dx, int64_t rows, int64_t channels, int32_t accumulate) {
    for (int64_t row = 0; row < rows; row++, x += channels, dy += channels, dx += channels) {
        for (int64_t c = 0; c < channels; c++) {
            dx[c] = (accumulate ? dx[c] : 0) + (dy[c] * a[c] + x[c] * b[c] + shift[c]);
        }
    }
}

static double squared_norm(const float *x, int64_t n) {
    double sums[8] = {0};
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        for (int j = 0; j < 8; j++) sums[j] += (double)x[i + j] * x[i + j];
    }
    for (; i < n; i++) sums[0] += (double)x[i] * x[i];
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

static void sgd(float *restrict w, float *restrict g, float *restrict momentum, int64_t n, const ounce_update *u) {
    const float rate = u->rate, keep = u->momentum, decay = u->decay, scale = u->scale;
    if (u->nesterov) {
        for (int64_t i = 0; i < n; i++) {
            const float d = g[i] * scale + decay * w[i];
            momentum[i] = keep * momentum[i] + d;
            w[i] -= rate * (d + keep * momentum[i]);
        }
    } else {
        for (int64_t i = 0; i < n; i++) {
            momentum[i] = keep * momentum[i] + g[i] * scale + decay * w[i];
            w[i] -= rate * momentum[i];
        }
    }
}

// arXiv 1711.05101: the decay is apart from the gradient.
static void adamw(float *restrict w, float *restrict g, float *restrict first, float *restrict second, int64_t n,
                  const ounce_update *u) {
    const float b1 = u->beta1, b2 = u->beta2, rate = u->rate / u->correction1, scale = u->scale;
    const float shrink = 1 - u->rate * u->decay, root = 1 / u->correction2, epsilon = u->epsilon;
    for (int64_t i = 0; i < n; i++) {
        const float d = g[i] * scale;
        first[i] = b1 * first[i] + (1 - b1) * d;
        second[i] = b2 * second[i] + (1 - b2) * d * d;
        w[i] = w[i] * shrink - rate * first[i] / (__builtin_elementwise_sqrt(second[i] * root) + epsilon);
    }
}

static void fake_quantise(const float *x, float scale, float zero, float low, float high, float *restrict y,
                          int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        const float q = ounce_clamp(__builtin_elementwise_roundeven(x[i] / scale) + zero, low, high);
        y[i] = (q - zero) * scale;
    }
}

static double fake_quantise_gradient(const float *x, const float *dy, float scale, float zero, float low, float high,
                                     float *restrict dx, int64_t n, int32_t accumulate) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        const float v = x[i] / scale, q = __builtin_elementwise_roundeven(v) + zero;
        const int inside = (q >= low) & (q <= high);
        const float slope = inside ? q - zero - v : q < low ? low - zero : high - zero;
        sum += (double)(dy[i] * slope);
        if (dx) dx[i] = (accumulate ? dx[i] : 0) + (inside ? dy[i] : 0);
    }
    return sum;
}
