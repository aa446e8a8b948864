/* The gradient of the pass over logits of exclusive classes, which computes the softmax again. */
#include "softmax.h"

typedef struct {
    Batch batch;
    const float *a, *of_powers, *h, *q;
    int64_t squares, first;
    float *out, *room;
    int64_t by_sample, by_class;
} Backward;

/* With d_k = dL/ds_k per unit of weight, and h = dL/d(ln p): w s_c (d_c - sum_k s_k d_k) + h (g_c - s_c). At the true
   class the last term is h m: of a confident voxel the difference 1 - s keeps few digits. This is the short way where d
   depends on the truth alone: x knows its sum over the classes. */
static void differentiate(const Backward *b, Stretch at, const float *e, Voxels *x, const float *h) {
    int64_t classes = b->batch.of.classes, apart = 4 + b->batch.maps.count;
    float wr[BLOCK], rest[BLOCK];
    int n = at.n;
    EACH_VOXEL {
        float w = x->w[i], mean = w * (x->mean[i] * x->r[i]);
        x->at_truth[i] = x->p[i] * (w * x->at_truth[i] - mean) + h[i] * x->m[i];
        wr[i] = w * x->r[i];
        rest[i] = (mean + h[i]) * x->r[i];
    }
    for (int64_t c = 0; c < classes; c++) {
        const float *ec = e + c * BLOCK;
        float on_false = b->a[(at.sample * classes + c) * apart];
        float *out = b->out + at.sample * b->by_sample + c * b->by_class + at.from;
        EACH_VOXEL {
            float elsewhere = ec[i] * (wr[i] * on_false - rest[i]);
            out[i] = x->label[i] == c ? x->at_truth[i] : elsewhere;
        }
    }
}

/* The long way, through squares, maps and q too. */
static void differentiate_all(const Backward *b, Stretch at, const float *e, const Voxels *x, const float *h) {
    float mean[BLOCK] = {0}, room[BLOCK];
    int64_t classes = b->batch.of.classes, maps = b->batch.maps.count;
    int n = at.n;
    for (int written = 0; written < 2; written++)
        for (int64_t c = 0; c < classes; c++) {
            int64_t which = at.sample * classes + c, of_q = which - (at.sample + 1) * b->first;
            const float *ec = e + c * BLOCK, *gradients = b->a + which * (4 + maps);
            const float *q = b->q && c >= b->first ? b->q + of_q * b->batch.of.voxels + at.from : NULL;
            OfSums a = of_sums(gradients);
            Scaled under = through_maps(q, gradients + 4, b->batch.maps, which, at.from, n, room);
            float *out = b->out + at.sample * b->by_sample + c * b->by_class + at.from;
            EACH_VOXEL {
                int is_true = x->label[i] == c;
                float s = ec[i] * x->r[i], d = through_sums(a, s, is_true, 1) + under.factor * under.row[i];
                float through = s * x->w[i] * (d - mean[i]), at_truth = through + h[i] * x->m[i];
                if (written) out[i] = is_true ? at_truth : through - h[i] * s;
                else mean[i] += s * d;
            }
        }
}

/* Add to h the derivatives d times the weights and the factor of each voxel's class, `apart` from each other. */
static void add_by_class(const float *factors, int64_t apart, int64_t classes, const Voxels *x, const float *d, int n,
                         float *h) {
    float factor[BLOCK];
    int alike = 1;
    for (int64_t c = 1; c < classes; c++) alike &= factors[c * apart] == factors[0];
    EACH_VOXEL factor[i] = factors[0];
    for (int c = 1; c < classes && !alike; c++) EACH_VOXEL factor[i] = x->label[i] == c ? factors[c * apart] : factor[i];
    EACH_VOXEL h[i] += x->w[i] * factor[i] * d[i];
}

/* Write h = dL/d(ln p) of a block. */
static void through_powers(const Backward *b, Stretch at, const Voxels *x, float *h) {
    const Batch *of = &b->batch;
    const float *given = b->h ? b->h + at.sample * of->of.voxels + at.from : NULL;
    float d[BLOCK];
    int n = at.n;
    EACH_VOXEL h[i] = given && x->w[i] > 0 ? given[i] : 0.0f;
    for (int64_t k = 0; k < of->powers.count; k++) {
        const float *m = row_of(of->powers.rows, of->powers.count, at.sample, k, at.from);
        power_derivatives(of->powers.all[k], x->m, x->u, n, d);
        if (m) EACH_VOXEL d[i] *= m[i];
        add_by_class(b->of_powers + k, of->powers.count, of->of.classes, x, d, n, h);
    }
}

static int backward(const void *job, int64_t begin, int64_t end, int part) {
    const Backward *b = job;
    const Batch *of = &b->batch;
    int with_h = b->h || of->powers.count, general = b->squares || b->q || of->maps.count, logs = 0;
    int64_t apart = 4 + of->maps.count;
    for (int64_t k = 0; k < of->powers.count; k++)
        logs |= needs_log(of->powers.all[k]);
    float *e = b->room + part * room_of(of), h[BLOCK] = {0};
    Voxels x;
    Stretch at;
    for (; begin < end; begin += at.n) {
        at = stretch(begin, end, of->of.voxels);
        look(of, at, logs, b->a + at.sample * of->of.classes * apart, apart, e, &x);
        if (with_h) through_powers(b, at, &x, h);
        if (general) differentiate_all(b, at, e, &x, h);
        else differentiate(b, at, e, &x, h);
    }
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
    Backward job = {batch, a, of_powers, h, q, squares, first, out, room, out_sample_stride, out_class_stride};
    return divide(backward, &job, samples * voxels, threads);
}
