/* The sums of the pass over logits of exclusive classes, in blocks of voxels that stay in the nearest cache. */
#include "softmax.h"

typedef struct {
    Batch batch;
    int64_t squares;
    double *tables;
    float *s, *log_p, *room;
} Forward;

/* What of ln p is wanted: nothing, m and u of each voxel, or the sum of the cross entropy alone. */
enum { NO_LOG, LOG, CROSS_ENTROPY };

/* The sums of a class over a block: of s over false and true voxels, of the weights of the true ones and, where nothing
   else is wanted of ln p, of their cross entropy. */
typedef struct {
    Vector on_false, on_true, truth, entropy;
} Sum;

ALWAYS_INLINE void add_class(Sum *sum, Mask is_true, Vector s, Vector true_s, Vector w) {
    sum->on_false += where(~is_true, s);
    sum->on_true += where(is_true, true_s);
    sum->truth += where(is_true, w);
}

static inline void add_to_table(Sum sum, double *row) {
    row[0] += total(sum.on_false);
    row[1] += total(sum.on_true);
    row[4] += total(sum.truth);
}

ALWAYS_INLINE void add_tile(Tile t, int classes, int masked, int logs, Sum *sums, Voxels *x, int i) {
    float e[FEW * WIDTH];
    Odds found = exponentials(t, classes, masked, logs != NO_LOG, e, WIDTH);
    Vector wr = masked ? t.w * found.r : found.r, true_s = masked ? t.w * found.p : found.p;
    for (int c = 0; c < classes; c++) {
        Mask is_true = equal(t.label, c);
        add_class(sums + c, is_true, load(e + c * WIDTH) * wr, true_s, t.w);
        if (logs == CROSS_ENTROPY) sums[c].entropy -= where(is_true, masked ? t.w * found.u : found.u);
    }
    if (logs == LOG) store(x->m + i, found.m), store(x->u + i, found.u);
}

/* Add the sums over a block to the table of a sample, whose rows are `columns` long: of few classes, whose sums stay in
   registers. */
ALWAYS_INLINE void add_few(const Batch *b, Stretch at, int classes, int masked, int logs, Voxels *x, double *table,
                           int64_t columns) {
    Sum sums[FEW] = {0};
    int i = 0;
    for (; i + WIDTH <= at.n; i += WIDTH) {
        Tile t = tile(b, at, i, 0, masked, x);
        if (masked) call_ahead(t, classes);
        add_tile(t, classes, masked, logs, sums, x, i);
    }
    if (i < at.n) add_tile(tile(b, at, i, at.n - i, 1, x), classes, 1, logs, sums, x, i);
    for (int c = 0; c < classes; c++, table += columns) {
        add_to_table(sums[c], table);
        if (logs == CROSS_ENTROPY) *sums_at(table, b->maps, b->powers).true_values += total(sums[c].entropy);
    }
}

#define ADD_FEW(classes) \
    do { \
        if (masked(b)) add_few(b, at, classes, 1, LOG, x, table, columns); \
        else if (logs == CROSS_ENTROPY) add_few(b, at, classes, 0, CROSS_ENTROPY, x, table, columns); \
        else if (logs) add_few(b, at, classes, 0, LOG, x, table, columns); \
        else add_few(b, at, classes, 0, NO_LOG, x, table, columns); \
    } while (0)

static void add_many(const Batch *b, Stretch at, int logs, float *e, Voxels *x, double *table, int64_t columns) {
    float wr[ROW], ws[ROW];
    int n = at.n;
    look(b, at, logs, e, x);
    EACH_TILE {
        store(wr + i, load(x->w + i) * load(x->r + i));
        store(ws + i, load(x->w + i) * load(x->p + i));
    }
    for (int c = 0; c < b->of.classes; c++) {
        Sum sum = {0};
        if (!is_here(x->here, c)) EACH_TILE sum.on_false += load(e + c * ROW + i) * load(wr + i);
        else EACH_TILE {
            Mask is_true = equal(load_whole(x->label + i), c);
            add_class(&sum, is_true, load(e + c * ROW + i) * load(wr + i), load(ws + i), load(x->w + i));
        }
        add_to_table(sum, table + c * columns);
    }
}

/* Add the values of the primitives over the true voxels of each class. */
static void add_values(const Batch *b, Stretch at, const Voxels *x, float *values, double *table, int64_t columns) {
    values_of(b->powers, at.sample, at.from, x->m, x->u, masked(b) ? x->w : NULL, at.n, values);
    for (int64_t c = 0; c < b->of.classes; c++, table += columns)
        for (int64_t k = 0; k < b->powers.count && is_here(x->here, c); k++)
            add_value(x->label, (int32_t)c, values + k * ROW, at.n, sums_at(table, b->maps, b->powers).true_values + k);
}

static void add_short(const Batch *b, Stretch at, int logs, float *room, Voxels *x, double *table, int64_t columns) {
    if (b->of.classes == 2) ADD_FEW(2);
    else if (b->of.classes == 3) ADD_FEW(3);
    else if (b->of.classes == 4) ADD_FEW(4);
    else add_many(b, at, logs != NO_LOG, room, x, table, columns);
    int added = logs == CROSS_ENTROPY && b->of.classes <= FEW;
    if (b->powers.count && !added) add_values(b, at, x, room + b->of.classes * ROW, table, columns);
}

/* The long way, to squares and sums under maps, and to s itself. */
static void add_all(const Forward *f, Stretch at, float *e, Voxels *x, double *table, int64_t columns) {
    const Batch *b = &f->batch;
    float wr[ROW];
    int n = at.n;
    look(b, at, f->log_p || b->powers.count, e, x);
    EACH_VOXEL wr[i] = x->w[i] * x->r[i];
    for (int64_t c = 0; c < b->of.classes; c++) {
        int64_t which = at.sample * b->of.classes + c;
        Block of_class = {e + c * ROW, x->r, wr, x->label, (int32_t)c, x->w, n};
        add_to_row(of_class, (int)f->squares, b->maps, which, at.from, sums_at(table + c * columns, b->maps, b->powers));
        float *s = f->s ? f->s + which * b->of.voxels + at.from : NULL;
        if (s) EACH_VOXEL s[i] = of_class.e[i] * x->r[i];
    }
    if (b->powers.count) add_values(b, at, x, e + b->of.classes * ROW, table, columns);
}

static int logs_of(const Forward *f) {
    Powers powers = f->batch.powers;
    if (!f->log_p && !powers.count) return NO_LOG;
    int plain = !f->log_p && powers.count == 1 && !powers.rows && is_plain(powers.all[0]);
    return plain && !masked(&f->batch) ? CROSS_ENTROPY : LOG;
}

static int forward(const void *job, int64_t begin, int64_t end, int part) {
    const Forward *f = job;
    const Batch *b = &f->batch;
    int64_t classes = b->of.classes, columns = columns_of(b->maps, b->powers);
    double *tables = f->tables + part * b->of.samples * classes * columns;
    float *room = f->room + part * room_of(b);
    int all = f->squares || f->s || b->maps.count, logs = logs_of(f);
    Voxels x;
    for (; begin < end; begin += BLOCK) {
        Stretch at = stretch(begin, b->of.voxels);
        double *table = tables + at.sample * classes * columns;
        take(b, at, &x);
        if (all) add_all(f, at, room, &x, table, columns);
        else add_short(b, at, logs, room, &x, table, columns);
        if (f->log_p) memcpy(f->log_p + at.sample * b->of.voxels + at.from, x.u, at.n * sizeof(float));
    }
    return DONE;
}

/* Add up the table of every sample and class, see columns_of in pass.h, with squares if asked for; one table for each of
   the threads, which are to be summed. Write the softmax s (samples, classes, voxels) and ln p of the truth (samples,
   voxels) where they are not NULL.

   Voxels lie side by side; labels and weights of all samples without gaps. `kind` is the width of labels in bytes,
   negative for int8; those equal to `ignored` do not count if `ignores`. Weights are NULL (all 1), or of 4 bytes (float)
   or 1. `rows` (samples, classes, maps) are the addresses of maps, `power_rows` (samples, 1, primitives) those of the
   primitives' maps. `room` is for (classes + primitives + 1) * 272 + classes numbers per thread. */
int lo_softmax(const float *z, int64_t z_sample_stride, int64_t z_class_stride, int64_t samples, int64_t classes, int64_t voxels,
                const void *labels, int64_t kind, int64_t ignores, int64_t ignored, const void *weight,
                int64_t weight_kind, const float *const *rows, int64_t maps, const double *powers, int64_t primitives,
                const float *const *power_rows, int64_t squares, double *tables, float *s, float *log_p,
                float *room, int64_t threads) {
    Logits logits = {z, z_sample_stride, z_class_stride, samples, classes, voxels};
    Batch batch = {logits, labels, kind, ignores, ignored, weight, weight_kind, {rows, maps},
                   {(const Power *)powers, primitives, power_rows}};
    Forward job = {batch, squares, tables, s, log_p, room};
    return divide(forward, &job, places(logits), threads);
}

/* Write g (classes, voxels): 1 where a class is the truth, else 0. */
void lo_one_hot(const int64_t *labels, int64_t classes, int64_t voxels, float *g) {
    for (int c = 0; c < classes; c++, g += voxels)
        _Pragma("omp simd") for (int64_t i = 0; i < voxels; i++) g[i] = labels[i] == c ? 1.0f : 0.0f;
}
