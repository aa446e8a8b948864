/* The pass over logits of regions: every channel has a truth of its own.

   Loops run over voxels, in blocks that stay in the nearest cache. Weights with a step of 0 are shared by the channels. */
#include "pass.h"

typedef struct {
    Logits of;
    const uint8_t *truth;
    const void *weight;
    int64_t weight_kind, weight_sample_stride, weight_channel_stride;
    Maps maps;
    Powers powers;
} Batch;

/* What is known of a block of voxels of one channel: state and weights, s, and of the true state m = 1 - p and u = ln p. */
typedef struct {
    int32_t state[ROW];
    float w[ROW], s[ROW], m[ROW], u[ROW];
} Voxels;

/* Voxels of weight 0 have the logit 0, whatever they hold. Blocks to come are called for: a processor does not see by
   itself where loads under a mask will go on. Only with `logs` u is found. */
static void look(const Batch *b, Stretch at, int64_t c, int logs, Voxels *x) {
    const float *z = b->of.z + at.sample * b->of.by_sample + c * b->of.by_class + at.from;
    int64_t place = at.sample * b->weight_sample_stride + c * b->weight_channel_stride + at.from;
    int n = at.n;
    read_numbers(b->truth, 1, (at.sample * b->of.classes + c) * b->of.voxels + at.from, n, x->state);
    read_weights(b->weight, b->weight_kind, place, n, x->w);
    for (int i = n; i % WIDTH; i++) x->w[i] = 0;
    for (int k = 0; k < BLOCK; k += 16) __builtin_prefetch(z + 2 * BLOCK + k, 0, 2);
    EACH_VOXEL x->s[i] = x->w[i] > 0 ? z[i] : 0.0f;
    EACH_TILE {
        Vector known = load(x->s + i), e = exponential(larger(known, -known) * -1.0f);
        Vector right = pick(equal(load_whole(x->state + i), 0), -known, known);
        Vector large = 1.0f / (1.0f + e), small = e * large;
        Mask wrong = below(right, every(0));
        store(x->s + i, pick(below(known, every(0)), small, large));
        store(x->m + i, pick(wrong, large, small));
        if (logs) store(x->u + i, where(wrong, right) - logarithm_1p(e));
    }
}

typedef struct {
    Batch batch;
    int64_t squares;
    double *tables;
    float *s, *log_p, *room;
} Forward;

static void add_channel(const Forward *f, Stretch at, int64_t c, const Voxels *x, float *values, double *tables) {
    const Batch *b = &f->batch;
    int64_t which = at.sample * b->of.classes + c, place = which * b->of.voxels + at.from;
    float ones[ROW];
    Vector weights = every(0);
    int n = at.n;
    EACH_VOXEL ones[i] = 1;
    Sums to = sums_at(tables + which * columns_of(b->maps, b->powers), b->maps, b->powers);
    values_of(b->powers, which, at.from, x->m, x->u, x->w, n, values);
    Block block = {x->s, ones, x->w, x->state, 1, x->w, n};
    add_to_row(block, (int)f->squares, b->maps, which, at.from, to);
    for (int64_t k = 0; k < b->powers.count; k++) {
        add_value(x->state, 1, values + k * ROW, n, to.true_values + k);
        add_value(x->state, 0, values + k * ROW, n, to.false_values + k);
    }
    EACH_TILE weights += load(x->w + i);
    to.row[5] += total(weights);
    if (f->s) memcpy(f->s + place, x->s, n * sizeof(float));
    if (f->log_p) memcpy(f->log_p + place, x->u, n * sizeof(float));
}

static int forward(const void *job, int64_t begin, int64_t end, int part) {
    const Forward *f = job;
    const Batch *b = &f->batch;
    int64_t columns = columns_of(b->maps, b->powers);
    double *tables = f->tables + part * b->of.samples * b->of.classes * columns;
    float *values = f->room + part * b->powers.count * ROW;
    int logs = f->log_p || b->powers.count;
    Voxels x;
    Stretch at;
    for (; begin < end; begin += BLOCK) {
        at = stretch(begin, b->of.voxels);
        for (int64_t c = 0; c < b->of.classes; c++) {
            look(b, at, c, logs, &x);
            add_channel(f, at, c, &x, values, tables);
        }
    }
    return DONE;
}

/* As lo_softmax, with a truth (samples, channels, voxels) of 0 and 1 without gaps; ln p is (samples, channels, voxels),
   that of the true states. `power_rows` is (samples, channels, primitives). `room` is for 272 numbers per thread and
   primitive, or per thread in the gradient. */
int lo_sigmoid(const float *z, int64_t z_sample_stride, int64_t z_channel_stride, int64_t samples, int64_t channels,
                int64_t voxels, const uint8_t *truth, const void *weight, int64_t weight_kind, int64_t weight_sample_stride,
                int64_t weight_channel_stride, const float *const *rows, int64_t maps, const double *powers,
                int64_t primitives, const float *const *power_rows, int64_t squares, double *tables, float *s,
                float *log_p, float *room, int64_t threads) {
    Logits logits = {z, z_sample_stride, z_channel_stride, samples, channels, voxels};
    Batch batch = {logits, truth, weight, weight_kind, weight_sample_stride, weight_channel_stride, {rows, maps},
                   {(const Power *)powers, primitives, power_rows}};
    Forward job = {batch, squares, tables, s, log_p, room};
    return divide(forward, &job, places(logits), threads);
}

typedef struct {
    Batch batch;
    const float *a, *of_powers, *h, *q;
    int64_t squares, first;
    Gradient to;
    float *room;
} Backward;

/* Write h = dL/d(ln p) of a block; of_powers holds the factors of a channel's true and false states. */
static void through_powers(const Backward *b, Stretch at, int64_t c, const Voxels *x, float *h) {
    const Powers powers = b->batch.powers;
    int64_t which = at.sample * b->batch.of.classes + c;
    const float *given = b->h ? b->h + which * b->batch.of.voxels + at.from : nothing;
    float d[ROW];
    int n = at.n;
    EACH_VOXEL h[i] = x->w[i] > 0 ? given[i] : 0.0f;
    for (int64_t k = 0; k < powers.count; k++) {
        const float *m = row_of(powers.rows, powers.count, which, k, at.from);
        float on_true = b->of_powers[2 * c * powers.count + k], on_false = b->of_powers[(2 * c + 1) * powers.count + k];
        if (is_plain(powers.all[k])) EACH_TILE store(d + i, every(-1));
        else power_derivatives(powers.all[k], x->m, x->u, n, d);
        if (m) EACH_VOXEL d[i] *= m[i];
        EACH_VOXEL h[i] += x->w[i] * (x->state[i] ? on_true : on_false) * d[i];
    }
}

static int backward(const void *job, int64_t begin, int64_t end, int part) {
    const Backward *b = job;
    const Batch *of = &b->batch;
    int64_t classes = of->of.classes, maps = of->maps.count;
    float h[ROW], found[ROW], *room = b->room + part * ROW;
    int logs = 0;
    Voxels x;
    for (int64_t k = 0; k < of->powers.count; k++) logs |= !is_plain(of->powers.all[k]);
    for (; begin < end; begin += BLOCK) {
        Stretch at = stretch(begin, of->of.voxels);
        for (int64_t c = 0; c < classes; c++) {
            int64_t which = at.sample * classes + c, of_q = which - (at.sample + 1) * b->first;
            const float *gradients = b->a + which * (4 + maps);
            const float *q = b->q && c >= b->first ? b->q + of_q * of->of.voxels + at.from : NULL;
            int n = at.n;
            look(of, at, c, logs, &x);
            through_powers(b, at, c, &x, h);
            OfSums a = of_sums(gradients);
            Scaled under = through_maps(q, gradients + 4, of->maps, which, at.from, n, room);
            EACH_VOXEL {
                float s = x.s[i], d = through_sums(a, s, x.state[i], 1) + under.factor * under.row[i];
                found[i] = x.w[i] * d * (s - s * s) + (x.state[i] ? h[i] : -h[i]) * x.m[i];
            }
            write_found(b->to, at, c, found);
        }
    }
    if (b->to.beyond) end_beyond();
    return DONE;
}

/* Write dL/dz, as lo_softmax_gradient does; of_powers is (channels, 2, primitives), of true and of false states, and h
   (samples, channels, voxels). */
int lo_sigmoid_gradient(const float *z, int64_t z_sample_stride, int64_t z_channel_stride, int64_t samples, int64_t channels,
                         int64_t voxels, const uint8_t *truth, const void *weight, int64_t weight_kind,
                         int64_t weight_sample_stride, int64_t weight_channel_stride, const float *const *rows, int64_t maps,
                         const double *powers, int64_t primitives, const float *const *power_rows, int64_t squares,
                         const float *a, const float *of_powers, const float *h, const float *q, int64_t first,
                         float *out, int64_t out_sample_stride, int64_t out_channel_stride, float *room, int64_t threads) {
    Logits logits = {z, z_sample_stride, z_channel_stride, samples, channels, voxels};
    Batch batch = {logits, truth, weight, weight_kind, weight_sample_stride, weight_channel_stride, {rows, maps},
                   {(const Power *)powers, primitives, power_rows}};
    Gradient to = gradient(logits, out, out_sample_stride, out_channel_stride);
    Backward job = {batch, a, of_powers, h, q, squares, first, to, room};
    return divide(backward, &job, places(logits), threads);
}
