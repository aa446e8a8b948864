/* What a pass over logits of exclusive classes knows of a block of voxels: labels, weights, exponentials.

   A tile of voxels, as many as a register holds, is worked on at a time. The truth is a comparison, never an index. */
#include "pass.h"

#define FEW 4 /* classes of which all is kept in registers */

typedef struct {
    Logits of;
    const void *labels;
    int64_t kind, ignores, ignored;
    const void *weight;
    int64_t weight_kind;
    Maps maps;
    Powers powers;
} Batch;

/* What is known of a block of voxels: labels and weights; r = 1 / sum of e; of the truth p, m = 1 - p and u = ln p. */
typedef struct {
    uint32_t here; /* bit c is 0 where no voxel has the label c: most blocks hold few, and other classes are sooner done */
    int32_t label[ROW] __attribute__((aligned(64)));
    float w[ROW], r[ROW], p[ROW], m[ROW], u[ROW];
} Voxels;

/* Whether voxels may not count: their logits may hold anything. */
static inline int masked(const Batch *b) { return b->ignores || b->weight; }

#define ANYWHERE UINT32_MAX

static inline int is_here(uint32_t here, int64_t c) { return c >= 32 || here >> c & 1; }

static uint32_t labels_here(const int32_t *label, int n) {
    Whole bits = {0}, one = {0};
    uint32_t found = 0;
    one += 1;
    EACH_TILE bits |= one << (load_whole(label + i) & 31);
    for (int k = 0; k < WIDTH; k++) found |= (uint32_t)bits[k];
    return found;
}

/* Read labels and weights; ignored voxels, and those that fill up the last tile, have the label 0 and the weight 0. */
static void take(const Batch *b, Stretch at, Voxels *x) {
    int64_t first = at.sample * b->of.voxels + at.from;
    int n = at.n;
    read_numbers(b->labels, b->kind, first, n, x->label);
    read_weights(b->weight, b->weight_kind, first, n, x->w);
    int32_t ignored = (int32_t)b->ignored;
    if (b->ignores) EACH_VOXEL {
        int counts = x->label[i] != ignored;
        x->w[i] = counts ? x->w[i] : 0.0f;
        x->label[i] = counts ? x->label[i] : 0;
    }
    for (int i = n; i % WIDTH; i++) x->label[i] = 0, x->w[i] = 0;
    x->here = b->of.classes > FEW && WIDTH > 4 ? labels_here(x->label, n) : ANYWHERE;
}

/* How many numbers a thread keeps: e of all classes, then the values of the primitives, then one of each class. */
static inline int64_t room_of(const Batch *b) {
    return (b->of.classes + b->powers.count) * ROW + (b->of.classes + 15) / 16 * 16;
}

/* A tile of a block: the logits of its first class, of `some` voxels where it is not full, else 0. */
typedef struct {
    const float *z;
    int64_t by_class;
    int some;
    Whole label;
    Vector w;
    uint32_t here;
} Tile;

ALWAYS_INLINE Tile tile(const Batch *b, Stretch at, int i, int some, int masked, const Voxels *x) {
    const float *z = b->of.z + at.sample * b->of.by_sample + at.from + i;
    return (Tile){z, b->of.by_class, some, load_whole(x->label + i), masked ? load(x->w + i) : every(1), ANYWHERE};
}

/* The logits of a class, 0 where a voxel does not count. */
ALWAYS_INLINE Vector logits_of(Tile t, int c, int masked) {
    const float *from = t.z + c * t.by_class;
    Vector z = t.some ? load_some(from, t.some) : load(from);
    return masked ? where(below(every(0), t.w), z) : z;
}

/* Call for logits of blocks to come, a line of each class: a processor does not see by itself where loads under a mask
   will go on, or that so many rows will; and all lines at once would wait for each other. */
ALWAYS_INLINE void call_ahead(Tile t, int classes) {
    for (int c = 0; c < classes; c++) __builtin_prefetch(t.z + c * t.by_class + 2 * BLOCK, 0, 2);
}

typedef struct {
    Vector r, p, m, u;
} Odds;

/* r, p, m and with `logs` u, given the exponentials of the true class and the sum of the others; `own_z` is the true
   class's logit below the largest. The others are summed apart because of a confident voxel 1 - p keeps few digits. */
ALWAYS_INLINE Odds odds(Vector own, Vector others, Vector own_z, int logs) {
    Odds x;
    Vector sum = own + others;
    x.r = 1.0f / sum;
    x.p = own * x.r;
    x.m = others * x.r;
    if (!logs) return x;
    /* The largest logit is the true one where own exceeds the others: to ln(1 + others) is added what rounding has lost. */
    x.u = own_z - (logarithm(sum) + where(below(others, own), others - (sum - 1.0f)));
    return x;
}

/* Write e = exp(z - max) of every class, `apart` from each other. */
ALWAYS_INLINE Odds exponentials(Tile t, int classes, int masked, int logs, float *e, int64_t apart) {
    if (classes == 2) { /* one exponential is 1 */
        Vector lead = logits_of(t, 1, masked) - logits_of(t, 0, masked), behind = -larger(lead, -lead);
        Vector small = exponential(behind);
        Mask first = below(lead, every(0)), right = first ^ equal(t.label, 1);
        store(e, pick(first, every(1), small));
        store(e + apart, pick(first, small, every(1)));
        return odds(pick(right, every(1), small), pick(right, small, every(1)), pick(right, every(0), behind), logs);
    }
    Vector top = logits_of(t, 0, masked), own = every(0), own_z = own, others = own;
    for (int c = 1; c < classes; c++) top = larger(logits_of(t, c, masked), top);
    for (int c = 0; c < classes; c++) {
        Vector below = logits_of(t, c, masked) - top, found = exponential(below);
        store(e + c * apart, found);
        if (!is_here(t.here, c)) {
            others += found;
            continue;
        }
        Mask is_true = equal(t.label, c);
        own = pick(is_true, found, own);
        others += where(~is_true, found);
        if (logs) own_z = pick(is_true, below, own_z);
    }
    return odds(own, others, own_z, logs);
}

/* Copy the logits of a block, ROW apart from class to class: where there are many, lines a power of 2 apart would drive
   each other out of the cache. */
static void gather(const Batch *b, Stretch at, float *to) {
    for (int64_t c = 0; c < b->of.classes; c++, to += ROW) {
        const float *z = b->of.z + at.sample * b->of.by_sample + c * b->of.by_class + at.from;
        int i = 0;
        for (; i + WIDTH <= at.n; i += WIDTH) store(to + i, load(z + i));
        if (i < at.n) store(to + i, load_some(z + i, at.n - i));
    }
}

ALWAYS_INLINE void keep(Voxels *x, int i, Odds found, int logs) {
    store(x->r + i, found.r);
    store(x->p + i, found.p);
    store(x->m + i, found.m);
    if (logs) store(x->u + i, found.u);
}

/* Keep e of a whole block, ROW apart from class to class, and what else is known. */
ALWAYS_INLINE void look_at_few(const Batch *b, Stretch at, int classes, int masked, float *e, Voxels *x) {
    int i = 0;
    for (; i + WIDTH <= at.n; i += WIDTH) {
        Tile t = tile(b, at, i, 0, masked, x);
        if (masked) call_ahead(t, classes);
        keep(x, i, exponentials(t, classes, masked, 1, e + i, ROW), 1);
    }
    if (i < at.n) keep(x, i, exponentials(tile(b, at, i, at.n - i, 1, x), classes, 1, 1, e + i, ROW), 1);
}

ALWAYS_INLINE void look_at_many(const Batch *b, Stretch at, int masked, int logs, float *e, Voxels *x) {
    gather(b, at, e);
    for (int i = 0; i < at.n; i += WIDTH) {
        if (i % 16 == 0) call_ahead(tile(b, at, i, 0, 0, x), (int)b->of.classes);
        Tile t = {e + i, ROW, 0, load_whole(x->label + i), masked ? load(x->w + i) : every(1), x->here};
        keep(x, i, exponentials(t, (int)b->of.classes, masked, logs, e + i, ROW), logs);
    }
}

static void look(const Batch *b, Stretch at, int logs, float *e, Voxels *x) {
    if (masked(b)) look_at_many(b, at, 1, 1, e, x);
    else if (logs) look_at_many(b, at, 0, 1, e, x);
    else look_at_many(b, at, 0, 0, e, x);
}
