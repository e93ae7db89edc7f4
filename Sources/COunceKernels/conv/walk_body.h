// The walk over units. The including file defines
//   WALK_INPUT, WALK_OUTPUT    element types
//   WALK_SPREADS               where each tile asks for a part of what comes next, 64 bytes of which take many steps
//   WALK_ADDS_RESIDUAL         where tile() adds the residual
//   WALK_PIXELS                the most pixels of a tile, a multiple of 8
//   WALK_VARIANTS(V)           V(pixels, panels) for each compiled tile, fewest pixels first
// and afterwards the function tile(call, pixels, panels), both constants there. Pixels past the last one repeat it, so
// a tile stores all of its pixels.

typedef struct {
    const WALK_INPUT *x[2 * WALK_PIXELS];  // with room for the pixels of a row from any one on
    WALK_OUTPUT *out[2 * WALK_PIXELS];
    int64_t in_offset, out_offset;  // of the block's group and first channel
    int64_t count;                  // of the pixels that are not repeated
    int64_t channels;               // to store, from out_offset on
    const char *panel;
    const char *soon;               // a panel that later tiles will want, else this one; WALK_SPREADS: this tile's part
    ptrdiff_t soon_step;            // WALK_SPREADS: bytes of it for every 64 of a panel
    const conv_walk *walk;
    const ounce_conv_params *p;
    intptr_t residual;              // residual_offset()
} tile_call;
typedef void (*tile_function)(const tile_call *t);

OUNCE_INLINE void tile(const tile_call *t, const int pixels, const int panels);

#define TILE_DEFINE(mr, nr) \
    static __attribute__((noinline)) void tile_##mr##_##nr(const tile_call *t) { tile(t, mr, nr); }
WALK_VARIANTS(TILE_DEFINE)
#undef TILE_DEFINE

static tile_function tile_for(int64_t pixels, int64_t panels) {
#define TILE_CHOOSE(mr, nr) \
    if (panels == nr && pixels <= mr) return tile_##mr##_##nr;
    WALK_VARIANTS(TILE_CHOOSE)
#undef TILE_CHOOSE
    return NULL;
}

// The addresses of eight pixels, `step` bytes apart.
typedef intptr_t v8a __attribute__((vector_size(64)));
OUNCE_INLINE v8a addresses(int64_t step) {
    return (v8a){0, step, 2 * step, 3 * step, 4 * step, 5 * step, 6 * step, 7 * step};
}
OUNCE_INLINE void put_addresses(void *to, const void *first, v8a steps) {
    OUNCE_UNROLL for (int i = 0; i < WALK_PIXELS / 8; i++) {
        const v8a some = (intptr_t)first + steps + 8 * i * steps[1];
        memcpy((char *)to + 64 * i, &some, sizeof some);
    }
}

// The output pixel that comes next.
typedef struct {
    v8a in_steps, out_steps;
    int64_t x, y;
    const WALK_INPUT *in, *row, *image;
    WALK_OUTPUT *out, *out_row, *out_image;
} pixel_cursor;

OUNCE_INLINE pixel_cursor cursor_at(const ounce_call *call, int64_t pixel) {
    const ounce_conv_params *p = call->params;
    pixel_cursor c = {.x = pixel % p->out_w, .y = pixel / p->out_w % p->out_h};
    c.in_steps = addresses(p->stride_w * p->in_pixel * (int64_t)sizeof(WALK_INPUT));
    c.out_steps = addresses(p->out_pixel * (int64_t)sizeof(WALK_OUTPUT));
    const int64_t image = pixel / p->out_w / p->out_h;
    c.image = (const WALK_INPUT *)call->in[0] + image * p->in_image;
    c.row = c.image + c.y * p->stride_h * p->in_row;
    c.in = c.row + c.x * p->stride_w * p->in_pixel;
    c.out_image = (WALK_OUTPUT *)call->out + image * p->out_image;
    c.out_row = c.out_image + c.y * p->out_row;
    c.out = c.out_row + c.x * p->out_pixel;
    return c;
}

OUNCE_INLINE pixel_cursor cursor_at_tile(const ounce_call *call, const conv_walk *w, int64_t tile) {
    return cursor_at(call, walk_pixel(w, tile));
}

// The pixels of `tile`, where the cursor stands; returns how many.
OUNCE_INLINE int64_t take_pixels(pixel_cursor *c, const conv_walk *w, int64_t tile, const ounce_conv_params *p,
                                 tile_call *t) {
    const int64_t count = w->tile + (tile < w->longer);
    const int64_t step = p->stride_w * p->in_pixel, out_step = p->out_pixel;
    for (int64_t m = 0; m < count;) {
        const int64_t some = ounce_min64(count - m, p->out_w - c->x);
        put_addresses(t->x + m, c->in, c->in_steps);
        put_addresses(t->out + m, c->out, c->out_steps);
        m += some;
        c->x += some, c->in += some * step, c->out += some * out_step;
        if (c->x < p->out_w) break;
        c->x = 0;
        if (++c->y == p->out_h) {
            c->y = 0;
            c->row = c->image += p->in_image;
            c->out_row = c->out_image += p->out_image;
        } else {
            c->row += p->stride_h * p->in_row;
            c->out_row += p->out_row;
        }
        c->in = c->row, c->out = c->out_row;
    }
    if (count % 4) {  // a compiled tile may be larger
        for (int64_t m = count; m < WALK_PIXELS; m++) t->x[m] = t->x[count - 1], t->out[m] = t->out[count - 1];
    }
    return count;
}

// The first output channel of `block`, or how many there are.
OUNCE_INLINE int64_t block_channel(const conv_walk *w, const ounce_conv_params *p, int64_t block) {
    return block == w->blocks * p->groups ? p->out_c
                                          : block / w->blocks * w->group_out + block % w->blocks * w->block * OUNCE_LANES;
}

OUNCE_INLINE void take_block(const conv_walk *w, int64_t block, const char *packed, tile_call *t) {
    const int64_t group = block / w->blocks, first = block % w->blocks * w->block;
    t->in_offset = group * w->group_in;
    t->out_offset = group * w->group_out + first * OUNCE_LANES;
    t->channels = w->group_out - first * OUNCE_LANES;
    t->panel = packed + (size_t)(group * w->panels + first) * w->panel_bytes;
}

#ifdef WALK_SPREADS
// What the units of a block or of a tile ask for together, in parts that follow on each other.
typedef struct {
    const char *from;
    int64_t step, part;  // bytes for every 64 of a panel, and of a unit
} walk_ahead;
OUNCE_INLINE walk_ahead look_ahead(const conv_walk *w, const void *from, int64_t bytes, int64_t units) {
    const int64_t lines = (int64_t)(w->panel_bytes / 64);
    const int64_t step = ounce_min64(64, ounce_ceil_div(bytes, units * lines));
    return (walk_ahead){from, step, step * lines};
}
#endif

// To the channels `first` to `end` of the tile's pixels.
static __attribute__((noinline)) void add_residual(const tile_call *t, int64_t count, int64_t first, int64_t end) {
    ADD_RESIDUAL(t->p, t->out, first, t->residual, count, end - first)
}

OUNCE_INLINE void walk_units(const ounce_call *call, const conv_walk *w, int64_t begin, int64_t end) {
    const ounce_conv_params *p = call->params;
    if (begin >= end) return;
    tile_call t = {.walk = w, .p = p, .residual = residual_offset(call)};
    const int64_t blocks = w->blocks * p->groups;
#ifdef WALK_ADDS_RESIDUAL
    const int has_residual = 0;
#else
    const int has_residual = p->has_residual;
#endif
    int64_t tile = w->by_blocks ? begin % w->tiles : begin / blocks;
    int64_t block = w->by_blocks ? begin / w->tiles : begin % blocks;
    int64_t count = 0, panels = 0, residual_from = 0;
    // Residuals are added to many channels at once: of a tile, where blocks follow on it, else of all tiles, in the blocks
    // that are whole here.
    const struct {
        int64_t first, end;
    } whole = {w->by_blocks ? ounce_ceil_div(begin, w->tiles) : 0, w->by_blocks ? end / w->tiles : 0};
    tile_function run = NULL;
#ifdef WALK_SPREADS
    walk_ahead ahead = {0};
#endif
    pixel_cursor cursor = cursor_at_tile(call, w, tile);
    for (int64_t unit = begin, new_tile = 1, new_block = 1; unit < end; unit++) {
        if (new_tile) {
            const int64_t before = count;
            count = take_pixels(&cursor, w, tile, p, &t);
            if (count != before) run = NULL;
            t.count = count;
        }
        if (new_block) {
            const int64_t before = panels;
            take_block(w, block, call->packed, &t);
            panels = ounce_min64(w->block, ounce_ceil_div(t.channels, OUNCE_LANES));
            if (panels != before) run = NULL;
        }
        if (!run) run = tile_for(count, panels);
#ifdef WALK_SPREADS
        // The next block's panels, or of the next tile's input what lies furthest down: the rest was read above it.
        if (w->by_blocks && new_block) {
            ahead = look_ahead(w, t.panel + (size_t)panels * w->panel_bytes, panels * (int64_t)w->panel_bytes, w->tiles);
        } else if (!w->by_blocks && new_tile) {
            ahead = look_ahead(w, cursor.in + (w->rows - 1) * w->row_step,
                               count * p->stride_w * p->in_pixel * (int64_t)sizeof(WALK_INPUT), blocks);
        }
        t.soon = ahead.from + (w->by_blocks ? tile : block) * ahead.part, t.soon_step = ahead.step;
#else
        // While a block's tiles run, each brings one panel of the next block near.
        const int64_t later = panels + tile;
        const int has_next = w->by_blocks && tile < w->block && block % w->blocks * w->block + later < w->panels;
        t.soon = has_next ? t.panel + (size_t)later * w->panel_bytes : t.panel;
#endif
        run(&t);
        if (has_residual) {
            if (new_tile || w->by_blocks) residual_from = t.out_offset;
            const int now = w->by_blocks ? block < whole.first || block >= whole.end : block + 1 == blocks || unit + 1 == end;
            if (now) {
                add_residual(&t, count, residual_from, t.out_offset + ounce_min64(t.channels, panels * OUNCE_LANES));
            }
        }
        if (w->by_blocks) {
            new_block = ++tile == w->tiles;
            if (new_block) tile = 0, block++, cursor = cursor_at_tile(call, w, 0);
        } else {
            new_tile = ++block == blocks;
            if (new_tile) block = 0, tile++;
        }
    }
    if (!has_residual || whole.first >= whole.end) return;
    cursor = cursor_at_tile(call, w, 0);
    for (tile = 0; tile < w->tiles; tile++) {
        count = take_pixels(&cursor, w, tile, p, &t);
        add_residual(&t, count, block_channel(w, p, whole.first), block_channel(w, p, whole.end));
    }
}
