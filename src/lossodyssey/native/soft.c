/* The pass over logits whose truth is soft: a voxel has a share g in 0..1 of every class, or of every region.

   Of a block of voxels one class after the other is worked on, in buffers that stay in the nearest cache. */
#include "pass.h"

typedef struct {
    Logits of;
    const float *truth;
    const void *weight;
    int64_t weight_kind, weight_sample_stride, weight_class_stride;
    Powers powers;
    int64_t regions, squares;
} Batch;

/* A class of a block: weights, share, s, m = 1 - s, u = ln s and, of a region, v = ln m. */
typedef struct {
    float w[ROW], g[ROW], s[ROW], m[ROW], u[ROW], v[ROW];
} Voxels;

/* Of a block under softmax, ROW apart from class to class: logits below the largest, and their exponentials. Of their
   sum without the largest one: r = 1 / (1 + rest), rest r, and ln(1 + rest). */
typedef struct {
    float *below, *e;
    float r[ROW], rest[ROW], log[ROW];
} Shared;

static inline int64_t columns_of_soft(Powers powers) { return 8 + 2 * powers.count; }

static inline int64_t room_of(const Batch *b) { return 2 * b->of.classes * ROW; }

/* Copy numbers of voxels that count, 0 for others and in the rest of the last tile; and call for blocks to come. */
static void copy(const float *from, const float *w, int n, float *to) {
    int i = 0;
    for (int k = 0; k < BLOCK; k += 16) __builtin_prefetch(from + 2 * BLOCK + k, 0, 2);
    for (; i + WIDTH <= n; i += WIDTH) store(to + i, where(below(every(0), load(w + i)), load(from + i)));
    if (i < n) store(to + i, where(below(every(0), load(w + i)), load_some(from + i, n - i)));
}

/* Read weights: one row for all classes where their step is 0. */
static void weigh(const Batch *b, Stretch at, int64_t c, float *w) {
    int64_t place = at.sample * b->weight_sample_stride + c * b->weight_class_stride + at.from;
    read_weights(b->weight, b->weight_kind, place, at.n, w);
    for (int i = at.n; i % WIDTH; i++) w[i] = 0;
}

static void look_at_all(const Batch *b, Stretch at, const float *w, float *room, Shared *x) {
    const float *z = b->of.z + at.sample * b->of.by_sample + at.from;
    int64_t classes = b->of.classes;
    int n = at.n;
    x->below = room, x->e = room + classes * ROW;
    for (int64_t c = 0; c < classes; c++) copy(z + c * b->of.by_class, w, n, room + c * ROW);
    EACH_TILE {
        float *of_tile = room + i, *e = x->e + i;
        Vector top = load(of_tile), rest = every(0);
        for (int64_t c = 1; c < classes; c++) top = larger(load(of_tile + c * ROW), top);
        Mask seen = below(top, top);
        for (int64_t c = 0; c < classes; c++) {
            Vector behind = load(of_tile + c * ROW) - top, found = exponential(behind);
            Mask first = ~below(behind, every(0)) & ~seen;
            seen |= first;
            /* The largest adds 0, or NaN: then no number of this voxel is known. */
            rest += pick(first, found - 1.0f, found);
            store(of_tile + c * ROW, behind);
            store(e + c * ROW, found);
        }
        Vector r = 1.0f / (1.0f + rest);
        store(x->r + i, r), store(x->rest + i, rest * r), store(x->log + i, logarithm_1p(rest));
    }
}

/* Only the class of the largest logit may be likelier than 1/2: of a confident voxel 1 - s would keep few digits. */
static void look_at_class(const Shared *of, int64_t c, int n, Voxels *x) {
    const float *e = of->e + c * ROW, *behind = of->below + c * ROW;
    EACH_TILE {
        Vector s = load(e + i) * load(of->r + i);
        store(x->s + i, s);
        store(x->m + i, pick(below(every(0.5f), s), load(of->rest + i), 1.0f - s));
        store(x->u + i, load(behind + i) - load(of->log + i));
    }
}

static void look_at_region(const Batch *b, Stretch at, int64_t c, Voxels *x) {
    int n = at.n;
    copy(b->of.z + at.sample * b->of.by_sample + c * b->of.by_class + at.from, x->w, n, x->u);
    EACH_TILE {
        Vector z = load(x->u + i), e = exponential(-larger(z, -z)), log = logarithm_1p(e);
        Vector large = 1.0f / (1.0f + e), small = e * large;
        Mask negative = below(z, every(0));
        store(x->s + i, pick(negative, small, large));
        store(x->m + i, pick(negative, large, small));
        store(x->u + i, where(negative, z) - log);
        store(x->v + i, where(~negative, -z) - log);
    }
}

/* Prepare a block: under softmax its weights, and what the classes share. */
static void look(const Batch *b, Stretch at, float *room, Shared *shared, Voxels *x) {
    if (b->regions) return;
    weigh(b, at, 0, x->w);
    look_at_all(b, at, x->w, room, shared);
}

/* Prepare a class of the block. */
static void look_closer(const Batch *b, Stretch at, int64_t c, const Shared *shared, Voxels *x) {
    if (b->regions) weigh(b, at, c, x->w);
    copy(b->truth + (at.sample * b->of.classes + c) * b->of.voxels + at.from, x->w, at.n, x->g);
    if (b->regions) look_at_region(b, at, c, x);
    else look_at_class(shared, c, at.n, x);
}

typedef struct {
    Batch batch;
    double *tables;
    float *room;
} Forward;

/* Add the sums over a block to a row of the table: of (s - g)^+, min(s, g), (1 - g) s^2, g s^2, g, 1, g s and g^2. */
static void add_sums_of_shares(const Voxels *x, int squares, int n, double *row) {
    Vector wrong = every(0), right = wrong, truth = wrong, weight = wrong;
    Vector sums[4] = {wrong, wrong, wrong, wrong};
    EACH_TILE {
        Vector s = load(x->s + i), g = load(x->g + i), w = load(x->w + i), above = larger(s - g, every(0)), wg = w * g;
        wrong += w * above, right += w * (s - above), truth += wg, weight += w;
        if (squares) sums[0] += (w - wg) * s * s, sums[1] += wg * s * s, sums[2] += wg * s, sums[3] += wg * g;
    }
    row[0] += total(wrong), row[1] += total(right), row[4] += total(truth), row[5] += total(weight);
    row[2] += total(sums[0]), row[3] += total(sums[1]), row[6] += total(sums[2]), row[7] += total(sums[3]);
}

/* Add the values f of each voxel times its share in the class; or in its absence, of a region. */
static double under_shares(const Voxels *x, const float *f, int absent, int n) {
    Vector sum = every(0);
    EACH_TILE {
        Vector g = load(x->g + i);
        sum += load(x->w + i) * (absent ? 1.0f - g : g) * load(f + i);
    }
    return total(sum);
}

static void add_powers(const Batch *b, const Voxels *x, int n, double *row) {
    float f[ROW];
    for (int64_t k = 0; k < b->powers.count; k++) {
        power_values(b->powers.all[k], x->m, x->u, n, f);
        row[8 + k] += under_shares(x, f, 0, n);
        if (!b->regions) continue;
        power_values(b->powers.all[k], x->s, x->v, n, f);
        row[8 + b->powers.count + k] += under_shares(x, f, 1, n);
    }
}

static int forward(const void *job, int64_t begin, int64_t end, int part) {
    const Forward *f = job;
    const Batch *b = &f->batch;
    int64_t classes = b->of.classes, columns = columns_of_soft(b->powers);
    double *tables = f->tables + part * b->of.samples * classes * columns;
    Shared shared;
    Voxels x;
    for (; begin < end; begin += BLOCK) {
        Stretch at = stretch(begin, b->of.voxels);
        look(b, at, f->room + part * room_of(b), &shared, &x);
        for (int64_t c = 0; c < classes; c++) {
            double *row = tables + (at.sample * classes + c) * columns;
            look_closer(b, at, c, &shared, &x);
            add_sums_of_shares(&x, (int)b->squares, at.n, row);
            add_powers(b, &x, at.n, row);
        }
    }
    return DONE;
}

/* Add up the table (threads, samples, classes, 8 + 2 primitives) of the sums above, and of the primitives of ln s times
   the shares, then of those of ln(1 - s) times 1 less the shares where the classes are `regions`. Voxels lie side by
   side; the truth (samples, classes, voxels) has no gaps. Weights are NULL (all 1), or of 4 bytes (float) or 1; the
   classes share them where their step is 0. `room` is for 2 * 272 numbers per thread and class. */
int lo_soft(const float *z, int64_t z_sample_stride, int64_t z_class_stride, int64_t samples, int64_t classes,
            int64_t voxels, const float *truth, const void *weight, int64_t weight_kind, int64_t weight_sample_stride,
            int64_t weight_class_stride, const double *powers, int64_t primitives, int64_t regions, int64_t squares,
            double *tables, float *room, int64_t threads) {
    Logits logits = {z, z_sample_stride, z_class_stride, samples, classes, voxels};
    Batch batch = {logits, truth, weight, weight_kind, weight_sample_stride, weight_class_stride,
                   {(const Power *)powers, primitives, NULL}, regions, squares};
    Forward job = {batch, tables, room};
    return divide(forward, &job, places(logits), threads);
}

typedef struct {
    Batch batch;
    const float *a, *of_powers;
    Gradient to;
    float *room;
} Backward;

/* dL/ds per unit of weight, given the gradients a of the class's sums. */
ALWAYS_INLINE Vector through_shares(const float *a, int squares, Vector s, Vector g) {
    Vector d = pick(below(g, s), every(a[0]), every(a[1]));
    return squares ? d + 2.0f * s * ((1.0f - g) * a[2] + g * a[3]) + g * a[4] : d;
}

/* Write h = dL/d(ln p) of a state whose error is m and whose ln p is u, per unit of weight and of share. */
static void slopes_of(Powers powers, const float *factors, const float *m, const float *u, int n, float *h) {
    float d[ROW];
    EACH_TILE store(h + i, every(0));
    for (int64_t k = 0; k < powers.count; k++) {
        if (is_plain(powers.all[k])) EACH_TILE store(d + i, every(-1));
        else power_derivatives(powers.all[k], m, u, n, d);
        EACH_TILE store(h + i, load(h + i) + factors[k] * load(d + i));
    }
}

/* Under softmax dL/dz_c = w (v_c - s_c sum_k v_k) with v = s dL/ds + g h. */
static void write_classes(const Backward *b, Stretch at, Shared *shared, Voxels *x) {
    const Batch *of = &b->batch;
    int64_t classes = of->of.classes, powers = of->powers.count;
    float h[ROW], mean[ROW] = {0};
    int n = at.n;
    for (int64_t c = 0; c < classes; c++) {
        const float *a = b->a + (at.sample * classes + c) * 6;
        look_closer(of, at, c, shared, x);
        slopes_of(of->powers, b->of_powers + 2 * c * powers, x->m, x->u, n, h);
        EACH_TILE {
            Vector s = load(x->s + i), g = load(x->g + i);
            Vector v = s * through_shares(a, (int)of->squares, s, g) + g * load(h + i);
            store(mean + i, load(mean + i) + v);
            store(shared->below + c * ROW + i, v); /* what stood there is no longer needed */
        }
    }
    for (int64_t c = 0; c < classes; c++) {
        const float *v = shared->below + c * ROW, *e = shared->e + c * ROW;
        EACH_TILE store(h + i, load(x->w + i) * (load(v + i) - load(e + i) * load(shared->r + i) * load(mean + i)));
        write_found(b->to, at, c, h);
    }
}

/* Under sigmoid dL/dz = w (s m dL/ds + g h m - (1 - g) h' s), h' being dL/d(ln m). */
static void write_regions(const Backward *b, Stretch at, Voxels *x) {
    const Batch *of = &b->batch;
    int64_t classes = of->of.classes, powers = of->powers.count;
    float h[ROW], absent[ROW], found[ROW];
    int n = at.n;
    for (int64_t c = 0; c < classes; c++) {
        const float *a = b->a + (at.sample * classes + c) * 6, *factors = b->of_powers + 2 * c * powers;
        look_closer(of, at, c, NULL, x);
        slopes_of(of->powers, factors, x->m, x->u, n, h);
        slopes_of(of->powers, factors + powers, x->s, x->v, n, absent);
        EACH_TILE {
            Vector s = load(x->s + i), m = load(x->m + i), g = load(x->g + i);
            Vector through = s * m * through_shares(a, (int)of->squares, s, g) + g * load(h + i) * m;
            store(found + i, load(x->w + i) * (through - (1.0f - g) * load(absent + i) * s));
        }
        write_found(b->to, at, c, found);
    }
}

static int backward(const void *job, int64_t begin, int64_t end, int part) {
    const Backward *b = job;
    Shared shared;
    Voxels x;
    for (; begin < end; begin += BLOCK) {
        Stretch at = stretch(begin, b->batch.of.voxels);
        look(&b->batch, at, b->room + part * room_of(&b->batch), &shared, &x);
        if (b->batch.regions) write_regions(b, at, &x);
        else write_classes(b, at, &shared, &x);
    }
    if (b->to.beyond) end_beyond();
    return DONE;
}

/* Write dL/dz, given the gradients a (samples, classes, 6) of the first four sums and of those of g s and g^2, and
   of_powers (classes, 2, primitives) of those of the primitives. The other arguments are those of lo_soft. */
int lo_soft_gradient(const float *z, int64_t z_sample_stride, int64_t z_class_stride, int64_t samples, int64_t classes,
                     int64_t voxels, const float *truth, const void *weight, int64_t weight_kind,
                     int64_t weight_sample_stride, int64_t weight_class_stride, const double *powers, int64_t primitives,
                     int64_t regions, int64_t squares, const float *a, const float *of_powers, float *out,
                     int64_t out_sample_stride, int64_t out_class_stride, float *room, int64_t threads) {
    Logits logits = {z, z_sample_stride, z_class_stride, samples, classes, voxels};
    Batch batch = {logits, truth, weight, weight_kind, weight_sample_stride, weight_class_stride,
                   {(const Power *)powers, primitives, NULL}, regions, squares};
    Backward job = {batch, a, of_powers, gradient(logits, out, out_sample_stride, out_class_stride), room};
    return divide(backward, &job, places(logits), threads);
}
