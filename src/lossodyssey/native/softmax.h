/* What a pass over logits of exclusive classes knows of a block of voxels: labels, weights, exponentials.

   Loops run over voxels, so that compilers turn them into vector instructions; the truth is a comparison, never an
   index. */
#include "pass.h"

typedef struct {
    Logits of;
    const void *labels;
    int64_t kind, ignores, ignored;
    const void *weight;
    int64_t weight_kind;
    Maps maps;
    Powers powers;
} Batch;

/* What is known of a block of voxels: labels and weights; r = 1 / sum of e; of the truth p, m = 1 - p and u = ln p.
   Given the gradients of the sums, `mean` is the sum over classes of e times its gradient, and `at_truth` the gradient of
   the true class. */
typedef struct {
    int32_t label[BLOCK];
    float w[BLOCK], r[BLOCK], p[BLOCK], m[BLOCK], u[BLOCK], mean[BLOCK], at_truth[BLOCK];
} Voxels;

/* Read labels and weights; ignored voxels have the label 0 and the weight 0. */
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
}

/* How many numbers a thread keeps: e of all classes, then the values of the primitives. */
static inline int64_t room_of(const Batch *b) { return (b->of.classes + b->powers.count) * BLOCK; }

/* A logit, or with `masked` 0 where the voxel does not count: it may hold anything there. */
ALWAYS_INLINE float counted(float z, float w, int masked) { return masked && !(w > 0) ? 0.0f : z; }

/* Write e = exp(z - max) of every class, BLOCK apart, and r, p, m, with `logs` u too. The exponentials of the other classes are
   summed apart: ln p = -ln(1 + others / own) keeps the digits of a confident voxel, whose p is rounded to 1. The gradients
   a of the sums, on false and true voxels, lie `apart` from class to class, or are NULL. */
ALWAYS_INLINE void exponentials(const float *z, int64_t by_class, int classes, int n, int masked, int logs,
                                const float *a, int64_t apart, float *e, Voxels *x) {
    float top[BLOCK], own[BLOCK], own_z[BLOCK], others[BLOCK];
    EACH_VOXEL top[i] = counted(z[i], x->w[i], masked);
    for (int c = 1; c < classes; c++) {
        const float *zc = z + c * by_class;
        EACH_VOXEL {
            float logit = counted(zc[i], x->w[i], masked);
            top[i] = logit > top[i] ? logit : top[i];
        }
    }
    EACH_VOXEL others[i] = own[i] = own_z[i] = x->mean[i] = x->at_truth[i] = 0;
    for (int c = 0; c < classes; c++) {
        const float *zc = z + c * by_class;
        float *ec = e + c * BLOCK, on_false = a ? a[c * apart] : 0, on_true = a ? a[c * apart + 1] : 0;
        EACH_VOXEL {
            float logit = counted(zc[i], x->w[i], masked) - top[i], found = exponential(logit);
            int is_true = x->label[i] == c;
            ec[i] = found;
            if (logs) own_z[i] = is_true ? logit : own_z[i];
            own[i] = is_true ? found : own[i];
            others[i] += is_true ? 0.0f : found;
            if (a) {
                x->mean[i] += found * (is_true ? on_true : on_false);
                x->at_truth[i] = is_true ? on_true : x->at_truth[i];
            }
        }
    }
    EACH_VOXEL {
        float total = own[i] + others[i];
        x->r[i] = 1 / total;
        x->m[i] = others[i] * x->r[i];
        x->p[i] = own[i] * x->r[i];
        if (logs) {
            int near = own[i] > others[i];
            float y = others[i] / own[i], t = near ? 1 + y : total, l = logarithm(t);
            x->u[i] = near ? -(l + (y - (t - 1))) : own_z[i] - l;
        } else x->u[i] = 0;
    }
}

ALWAYS_INLINE void look(const Batch *b, Stretch at, int logs, const float *a, int64_t apart, float *e, Voxels *x) {
    const float *z = b->of.z + at.sample * b->of.by_sample + at.from;
    int classes = (int)b->of.classes;
    int64_t by = b->of.by_class;
    take(b, at, x);
    if (b->ignores || b->weight) exponentials(z, by, classes, at.n, 1, 1, a, apart, e, x);
    else if (logs) exponentials(z, by, classes, at.n, 0, 1, a, apart, e, x);
    else exponentials(z, by, classes, at.n, 0, 0, a, apart, e, x);
}
