/* The gradient of the pass over logits of exclusive classes, which computes the softmax again. */
#include "softmax.h"

typedef struct {
    Batch batch;
    const float *a, *of_powers, *h, *q;
    int64_t squares, first;
    Gradient to;
    float *room;
} Backward;

/* How dL/d(ln p) is known: it is 0, or a number of each class times the weight, or a number of each voxel, which is given
   or depends on p. */
enum { NO_H, H_OF_CLASS, H_GIVEN, H_OF_VOXEL };

/* A block of the gradient, written past the caches if `beyond`; and the gradients of the sums of its sample, `apart` from
   class to class. */
typedef struct {
    const float *a;
    int64_t apart;
    const float *h_of_class, *h;
    float *out;
    int64_t by_class;
    int beyond;
} Target;

/* The sum over classes of e times dL/ds, and dL/ds of the true class, per unit of weight; and h. */
typedef struct {
    Vector mean, at_truth, h;
} Slopes;

ALWAYS_INLINE Slopes slopes(Tile t, int classes, int with_h, Target to, const float *e, int64_t apart) {
    Slopes found = {every(0), every(0), every(0)};
    for (int c = 0; c < classes; c++) {
        Vector on_false = every(to.a[c * to.apart]), on_true = every(to.a[c * to.apart + 1]);
        if (!is_here(t.here, c)) {
            found.mean += load(e + c * apart) * on_false;
            continue;
        }
        Mask is_true = equal(t.label, c);
        found.mean += load(e + c * apart) * pick(is_true, on_true, on_false);
        found.at_truth = pick(is_true, on_true, found.at_truth);
        if (with_h == H_OF_CLASS) found.h = pick(is_true, every(to.h_of_class[c]), found.h);
    }
    return found;
}

/* With d_k = dL/ds_k per unit of weight, and h = dL/d(ln p): w s_c (d_c - sum_k s_k d_k) + h (g_c - s_c). At the true
   class the last term is h m: of a confident voxel the difference 1 - s keeps few digits. This is the short way where d
   depends on the truth alone. */
ALWAYS_INLINE void write_tile(Tile t, int classes, int masked, int with_h, Target to, const float *e, int64_t apart,
                              Odds x, Slopes d, int i) {
    Vector mean = d.mean * x.r, at_truth = x.p * (d.at_truth - mean), wr = x.r;
    if (masked) wr *= t.w, mean *= t.w, at_truth *= t.w;
    if (masked && with_h == H_OF_CLASS) d.h *= t.w;
    if (with_h) at_truth += d.h * x.m, mean += d.h;
    Vector rest = mean * x.r;
    for (int c = 0; c < classes; c++) {
        Vector elsewhere = load(e + c * apart) * (wr * to.a[c * to.apart] - rest);
        Vector found = is_here(t.here, c) ? pick(equal(t.label, c), at_truth, elsewhere) : elsewhere;
        float *out = to.out + c * to.by_class + i;
        if (t.some) memcpy(out, &found, t.some * sizeof *out);
        else if (to.beyond) store_beyond(out, found);
        else store(out, found);
    }
}

ALWAYS_INLINE void differentiate_tile(Tile t, int classes, int masked, int with_h, Target to, int i) {
    float e[FEW * WIDTH];
    Odds x = exponentials(t, classes, masked, 0, e, WIDTH);
    Slopes d = slopes(t, classes, with_h, to, e, WIDTH);
    if (with_h == H_GIVEN) {
        Vector h = t.some ? load_some(to.h + i, t.some) : load(to.h + i);
        d.h = masked ? where(below(every(0), t.w), h) : h;
    }
    write_tile(t, classes, masked, with_h, to, e, WIDTH, x, d, i);
}

/* Of few classes, where h depends on the true class alone. */
ALWAYS_INLINE void differentiate_few(const Backward *b, Stretch at, int classes, int masked, int with_h, Target to,
                                     const Voxels *x) {
    int i = 0;
    for (; i + WIDTH <= at.n; i += WIDTH) {
        Tile t = tile(&b->batch, at, i, 0, masked, x);
        if (masked) call_ahead(t, classes);
        differentiate_tile(t, classes, masked, with_h, to, i);
    }
    if (i < at.n) differentiate_tile(tile(&b->batch, at, i, at.n - i, 1, x), classes, 1, with_h, to, i);
}

/* The long way, through squares, maps and q too. */
static void differentiate_all(const Backward *b, Stretch at, const float *e, const Voxels *x, const float *h) {
    float mean[ROW] = {0}, room[ROW], found[ROW];
    int64_t classes = b->batch.of.classes, maps = b->batch.maps.count;
    int n = at.n;
    for (int written = 0; written < 2; written++)
        for (int64_t c = 0; c < classes; c++) {
            int64_t which = at.sample * classes + c, of_q = which - (at.sample + 1) * b->first;
            const float *ec = e + c * ROW, *gradients = b->a + which * (4 + maps);
            const float *q = b->q && c >= b->first ? b->q + of_q * b->batch.of.voxels + at.from : NULL;
            OfSums a = of_sums(gradients);
            Scaled under = through_maps(q, gradients + 4, b->batch.maps, which, at.from, n, room);
            if (!written) {
                EACH_VOXEL {
                    float s = ec[i] * x->r[i];
                    mean[i] += s * (through_sums(a, s, x->label[i] == c, 1) + under.factor * under.row[i]);
                }
                continue;
            }
            EACH_VOXEL {
                int is_true = x->label[i] == c;
                float s = ec[i] * x->r[i], d = through_sums(a, s, is_true, 1) + under.factor * under.row[i];
                float through = s * x->w[i] * (d - mean[i]), at_truth = through + h[i] * x->m[i];
                found[i] = is_true ? at_truth : through - h[i] * s;
            }
            write_found(b->to, at, c, found);
        }
}

/* Add to h the derivatives d times the weights and the factor of each voxel's class, `apart` from each other. */
static void add_by_class(const float *factors, int64_t apart, int64_t classes, const Voxels *x, const float *d, int n,
                         float *h) {
    int alike = 1;
    for (int64_t c = 1; c < classes; c++) alike &= factors[c * apart] == factors[0];
    EACH_TILE {
        Vector factor = every(factors[0]);
        for (int c = 1; c < classes && !alike; c++)
            factor = pick(equal(load_whole(x->label + i), c), every(factors[c * apart]), factor);
        store(h + i, load(h + i) + load(x->w + i) * factor * load(d + i));
    }
}

/* Write h = dL/d(ln p) of a block. */
static __attribute__((noinline)) void through_powers(const Backward *b, Stretch at, const Voxels *x, float *h) {
    const Batch *of = &b->batch;
    const float *given = b->h ? b->h + at.sample * of->of.voxels + at.from : NULL;
    float d[ROW];
    int n = at.n;
    EACH_VOXEL h[i] = given && x->w[i] > 0 ? given[i] : 0.0f;
    for (int64_t k = 0; k < of->powers.count; k++) {
        const float *m = row_of(of->powers.rows, of->powers.count, at.sample, k, at.from);
        if (is_plain(of->powers.all[k])) EACH_TILE store(d + i, every(-1));
        else power_derivatives(of->powers.all[k], x->m, x->u, n, d);
        if (m) EACH_VOXEL d[i] *= m[i];
        add_by_class(b->of_powers + k, of->powers.count, of->of.classes, x, d, n, h);
    }
}

/* Of a whole block, whose e is kept. */
ALWAYS_INLINE void write_block(const Backward *b, Stretch at, int classes, int masked, int with_h, Target to,
                               const float *e, const Voxels *x, const float *h) {
    for (int i = 0; i < at.n; i += WIDTH) {
        Tile t = tile(&b->batch, at, i, at.n - i < WIDTH ? at.n - i : 0, masked, x);
        if (classes > FEW) t.here = x->here;
        Odds found = {load(x->r + i), load(x->p + i), load(x->m + i), every(0)};
        Slopes d = slopes(t, classes, with_h, to, e + i, ROW);
        if (with_h == H_OF_VOXEL) d.h = load(h + i);
        write_tile(t, classes, masked, with_h, to, e + i, ROW, found, d, i);
    }
}

static void differentiate_many(const Backward *b, Stretch at, int with_h, Target to, float *e, Voxels *x) {
    int classes = (int)b->batch.of.classes;
    float h[ROW];
    look(&b->batch, at, with_h == H_OF_VOXEL, e, x);
    if (with_h >= H_GIVEN) through_powers(b, at, x, h);
    if (with_h >= H_GIVEN) write_block(b, at, classes, 1, H_OF_VOXEL, to, e, x, h);
    else write_block(b, at, classes, 1, H_OF_CLASS, to, e, x, h);
}

/* Of few classes, where h is a number of each voxel. */
ALWAYS_INLINE void differentiate_few_with_h(const Backward *b, Stretch at, int classes, int masked, Target to, float *e,
                                            Voxels *x) {
    float h[ROW];
    look_at_few(&b->batch, at, classes, masked, e, x);
    through_powers(b, at, x, h);
    write_block(b, at, classes, masked, H_OF_VOXEL, to, e, x, h);
}

#define DIFFERENTIATE_FEW(classes) \
    do { \
        if (masked(&b->batch) && with_h == H_OF_VOXEL) differentiate_few_with_h(b, at, classes, 1, to, e, x); \
        else if (with_h == H_OF_VOXEL) differentiate_few_with_h(b, at, classes, 0, to, e, x); \
        else if (masked(&b->batch) && with_h == H_GIVEN) differentiate_few(b, at, classes, 1, H_GIVEN, to, x); \
        else if (masked(&b->batch)) differentiate_few(b, at, classes, 1, H_OF_CLASS, to, x); \
        else if (with_h == H_GIVEN) differentiate_few(b, at, classes, 0, H_GIVEN, to, x); \
        else if (with_h) differentiate_few(b, at, classes, 0, H_OF_CLASS, to, x); \
        else differentiate_few(b, at, classes, 0, NO_H, to, x); \
    } while (0)

static void differentiate_short(const Backward *b, Stretch at, int with_h, Target to, float *e, Voxels *x) {
    if (b->batch.of.classes == 2) DIFFERENTIATE_FEW(2);
    else if (b->batch.of.classes == 3) DIFFERENTIATE_FEW(3);
    else if (b->batch.of.classes == 4) DIFFERENTIATE_FEW(4);
    else differentiate_many(b, at, with_h, to, e, x);
}

static int kind_of_h(const Backward *b) {
    Powers powers = b->batch.powers;
    int constant = !b->h && !powers.rows;
    if (!powers.count) return b->h ? H_GIVEN : NO_H;
    for (int64_t k = 0; k < powers.count; k++) constant &= is_plain(powers.all[k]);
    return constant ? H_OF_CLASS : H_OF_VOXEL;
}

/* Write dL/d(ln p) of each class; 0 where it is 0, or is made for each voxel. */
static void fill_h(const Backward *b, int with_h, float *h) {
    int64_t powers = b->batch.powers.count;
    for (int64_t c = 0; c < b->batch.of.classes; c++) {
        h[c] = 0;
        for (int64_t k = 0; k < powers && with_h == H_OF_CLASS; k++) h[c] -= b->of_powers[c * powers + k];
    }
}

static int backward(const void *job, int64_t begin, int64_t end, int part) {
    const Backward *b = job;
    const Batch *of = &b->batch;
    int64_t classes = of->of.classes, apart = 4 + of->maps.count;
    int with_h = kind_of_h(b), all = b->squares || b->q || of->maps.count;
    float *e = b->room + part * room_of(of), *h_of_class = e + (classes + of->powers.count) * ROW, h[ROW];
    /* Lines are written past the caches as a whole: where a register holds less, rows of many classes are, in the end. */
    int whole = b->to.beyond && WIDTH == 16, in_rows = b->to.beyond && WIDTH < 16 && classes > FEW;
    fill_h(b, with_h, h_of_class);
    Voxels x;
    for (; begin < end; begin += BLOCK) {
        Stretch at = stretch(begin, of->of.voxels);
        float *out = in_rows ? e : b->to.out + at.sample * b->to.by_sample + at.from; /* e is read before */
        const float *given = b->h ? b->h + at.sample * of->of.voxels + at.from : NULL;
        int64_t by_class = in_rows ? ROW : b->to.by_class;
        Target to = {b->a + at.sample * classes * apart, apart, h_of_class, given, out, by_class, whole};
        take(of, at, &x);
        if (!all) {
            differentiate_short(b, at, with_h, to, e, &x);
            for (int64_t c = 0; c < classes && in_rows; c++) write_found(b->to, at, c, e + c * ROW);
            continue;
        }
        look(of, at, with_h == H_OF_VOXEL, e, &x);
        through_powers(b, at, &x, h);
        differentiate_all(b, at, e, &x, h);
    }
    if (b->to.beyond) end_beyond();
    return DONE;
}

/* Write dL/dz, given the gradients a (samples, classes, 4 + maps) of the sums (with `squares`, a[2] and a[3] may differ
   from 0), of_powers (classes, primitives) of the primitives' sums, h (samples, voxels) of ln p, and q (samples,
   classes - first, voxels) of s itself per unit of weight, from the class `first` on; h and q may be NULL. The other
   arguments are those of lo_softmax. */
int lo_softmax_gradient(const float *z, int64_t z_sample_stride, int64_t z_class_stride, int64_t samples, int64_t classes,
                         int64_t voxels, const void *labels, int64_t kind, int64_t ignores, int64_t ignored,
                         const void *weight, int64_t weight_kind, const float *const *rows, int64_t maps,
                         const double *powers, int64_t primitives, const float *const *power_rows, int64_t squares,
                         const float *a, const float *of_powers, const float *h, const float *q, int64_t first,
                         float *out, int64_t out_sample_stride, int64_t out_class_stride, float *room, int64_t threads) {
    Logits logits = {z, z_sample_stride, z_class_stride, samples, classes, voxels};
    Batch batch = {logits, labels, kind, ignores, ignored, weight, weight_kind, {rows, maps},
                   {(const Power *)powers, primitives, power_rows}};
    Gradient to = gradient(logits, out, out_sample_stride, out_class_stride);
    Backward job = {batch, a, of_powers, h, q, squares, first, to, room};
    return divide(backward, &job, places(logits), threads);
}
