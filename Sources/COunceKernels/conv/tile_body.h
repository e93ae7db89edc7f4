// The walk over units, pixels and panels. The including file defines
//   TILE_INPUT, TILE_OUTPUT            element types
//   TILE_WIDE, TILE_NARROW             pixels of one tile() call for 3 or 4 panels, and for 1 or 2
//   TILE_GROUP                         panels of one tile() call
//   TILE_VARIANTS(V)                   V(pixels, panels) for each compiled variant, fewest pixels first
// and afterwards the function tile(call, pixels, panels), both constants there.

typedef struct {
    const TILE_INPUT *x[TILE_PIXELS];
    TILE_OUTPUT *out[TILE_PIXELS];
    int64_t count, channels;  // pixels and channels to store
    const char *panel;
    size_t panel_bytes;
    const conv_shape *shape;
    const ounce_conv_params *p;
    intptr_t residual;  // residual_offset()
} tile_call;

OUNCE_INLINE void tile(const tile_call *t, const int pixels, const int panels);

#define TILE_DEFINE(mr, nv) \
    static __attribute__((noinline)) void tile_##mr##_##nv(const tile_call *t) { tile(t, mr, nv); }
TILE_VARIANTS(TILE_DEFINE)
#undef TILE_DEFINE

static void tile_dispatch(const tile_call *t, int64_t panels) {
#define TILE_CALL(mr, nv) \
    if (panels == nv && t->count <= mr) return tile_##mr##_##nv(t);
    TILE_VARIANTS(TILE_CALL)
#undef TILE_CALL
}

static __attribute__((noinline)) void add_residual(const tile_call *t, int64_t channels) {
    ADD_RESIDUAL(t->p, t->out, 0, t->residual, t->count, channels)
}

OUNCE_INLINE void tile_panels(tile_call *t, const TILE_INPUT *const *x, TILE_OUTPUT *const *out, int64_t count,
                              int64_t first, int64_t panels, const char *packed) {
    const int64_t rows = panels > 2 ? TILE_WIDE : TILE_NARROW;
    t->panel = packed + (size_t)first * t->panel_bytes;
    t->channels = t->p->out_c - first * OUNCE_LANES;
    for (int64_t m = 0; m < count; m += rows) {
        t->count = ounce_min64(rows, count - m);
        for (int64_t i = 0; i < rows; i++) {
            const int64_t pixel = ounce_min64(m + i, count - 1);
            t->x[i] = x[pixel];
            t->out[i] = out[pixel] + first * OUNCE_LANES;
        }
        tile_dispatch(t, panels);
        if (t->p->has_residual) add_residual(t, ounce_min64(t->channels, panels * OUNCE_LANES));
    }
}

// One unit: the pixels of `pixels` by the block's panels.
OUNCE_INLINE void tile_unit(tile_call *t, const TILE_INPUT *const *x, TILE_OUTPUT *const *out, int64_t count,
                            int64_t block, const char *packed) {
    const int64_t end = ounce_min64(t->shape->panels, (block + 1) * TILE_PANELS);
    for (int64_t first = block * TILE_PANELS; first < end;) {
        const int64_t panels = count == 1 ? end - first : ounce_min64(TILE_GROUP, end - first);
        tile_panels(t, x, out, count, first, panels, packed);
        first += panels;
    }
}
