/* The pass over logits of exclusive classes, in blocks of voxels that stay in the nearest cache.

   Arrays over classes are (classes, voxels) with a stride between classes; weights may be NULL (all 1). Loops run over
   voxels, so that compilers turn them into vector instructions; the truth is a comparison, never an index. */
#include <stdlib.h>

#include "pass.h"

/* A logit, or with `masked` 0 where the voxel does not count: it may hold anything there. */
ALWAYS_INLINE float counted(float z, float w, int masked) { return masked && !(w > 0) ? 0.0f : z; }

/* Softmax s of n voxels, and if `wanted` ln p of their truth. With `masked`, voxels of weight 0 have the logits 0,
   whatever they hold. The exponentials of the other classes are summed apart: ln p = -ln(1 + others / own) keeps the
   digits of a confident voxel, whose p is rounded to 1; the ratio undoes the rounding of 1 + y (Kahan). */
ALWAYS_INLINE void softmax(const float *z, int64_t z_stride, const int32_t *label, const float *w, int masked,
                           int wanted, int classes, int n, float *s, int64_t s_stride, float *log_p) {
    float top[BLOCK], others[BLOCK];
    EACH_VOXEL top[i] = counted(z[i], w[i], masked);
    for (int c = 1; c < classes; c++) {
        const float *zc = z + c * z_stride;
        EACH_VOXEL {
            float x = counted(zc[i], w[i], masked);
            top[i] = x > top[i] ? x : top[i];
        }
    }
    EACH_VOXEL others[i] = log_p[i] = 0;
    for (int c = 0; c < classes; c++) {
        const float *zc = z + c * z_stride;
        float *sc = s + c * s_stride;
        EACH_VOXEL {
            float x = counted(zc[i], w[i], masked) - top[i], e = exponential(x);
            sc[i] = e;
            if (wanted) {
                log_p[i] = label[i] == c ? x : log_p[i];
                others[i] += label[i] == c ? 0.0f : e;
            } else others[i] += e;
        }
    }
    EACH_VOXEL {
        float total = others[i];
        if (wanted) {
            float z_true = log_p[i], own = exponential(z_true), y = total / own;
            int near = own > total;
            float x = near ? 1 + y : own + total, l = logarithm(x), rounded = x - 1, far = z_true - l;
            float close = rounded > 0 ? l * (y / rounded) : y;
            log_p[i] = near ? -close : far;
            total += own;
        }
        top[i] = 1 / total;
    }
    for (int c = 0; c < classes; c++) EACH_VOXEL s[c * s_stride + i] *= top[i];
}

/* The next block: its labels and weights; returns how many voxels. */
static int take(const int64_t *labels, const float *weight, int64_t from, int64_t to, int32_t *label, float *w) {
    int n = to - from < BLOCK ? (int)(to - from) : BLOCK;
    EACH_VOXEL label[i] = (int32_t)labels[from + i];
    if (weight) memcpy(w, weight + from, n * sizeof(float));
    else EACH_VOXEL w[i] = 1;
    return n;
}

typedef struct {
    const float *z;
    int64_t z_stride;
    const int64_t *labels;
    const float *weight;
    int64_t classes;
    Outputs to;
} Forward;

static int forward(const void *job, int64_t from, int64_t to, int part) {
    const Forward *f = job;
    int classes = (int)f->classes;
    int32_t label[BLOCK];
    float w[BLOCK], found[BLOCK], hit[BLOCK], *own = f->to.s ? NULL : malloc(classes * BLOCK * sizeof(float));
    if (!f->to.s && !own) return NO_MEMORY;
    double *table = table_of(&f->to, classes, part);
    int64_t columns = 5 + 2 * f->to.maps.count;
    for (; from < to; from += BLOCK) {
        int n = take(f->labels, f->weight, from, to, label, w);
        int64_t stride = f->to.s ? f->to.stride : BLOCK;
        float *p = f->to.s ? f->to.s + from : own;
        const float *z = f->z + from;
        if (f->weight && f->to.log_p) softmax(z, f->z_stride, label, w, 1, 1, classes, n, p, stride, found);
        else if (f->weight) softmax(z, f->z_stride, label, w, 1, 0, classes, n, p, stride, found);
        else if (f->to.log_p) softmax(z, f->z_stride, label, w, 0, 1, classes, n, p, stride, found);
        else softmax(z, f->z_stride, label, w, 0, 0, classes, n, p, stride, found);
        for (int c = 0; table && c < classes; c++) {
            EACH_VOXEL hit[i] = label[i] == c ? w[i] : 0.0f;
            add_to_row(&f->to, c, from, p + c * stride, w, hit, n, table + c * columns);
        }
        if (f->to.log_p) memcpy(f->to.log_p + from, found, n * sizeof(float));
    }
    free(own);
    return DONE;
}

/* Write the softmax s; add to tables (threads, classes, 5 + 2 maps), which are to be summed, the sums of w (1 - g) s,
   w g s, with `squares` w (1 - g) s^2 and w g s^2, and w g, then those of w m s under each map m, then those of w m g;
   write ln p of the truth. `rows` (classes, maps) are the addresses of the maps, or NULL. Each of s, tables and log_p
   may be NULL. */
int lo_softmax(const float *z, int64_t z_stride, const int64_t *labels, const float *weight, int64_t classes,
               int64_t voxels, float *s, int64_t s_stride, double *tables, int64_t squares, float *log_p,
               const float *const *rows, int64_t maps, int64_t threads) {
    Outputs outputs = {s, s_stride, tables, squares, log_p, {rows, maps}};
    Forward job = {z, z_stride, labels, weight, classes, outputs};
    return divide(forward, &job, voxels, threads);
}

/* With d_k = dL/ds_k per unit of weight, and h = dL/d(ln p): w s_c (d_c - sum_k s_k d_k) + h (g_c - s_c). At the true
   class the last term is `missed` = h (1 - p), which is given: of a confident voxel the difference keeps few digits. */
ALWAYS_INLINE void differentiate(float *s, int64_t stride, const int32_t *label, const float *w, int classes, int n,
                                 const Upstream *by, int64_t from, const float *h, const float *missed,
                                 int squares, int mapped, int with_h) {
    float mean[BLOCK] = {0}, room[BLOCK];
    for (int c = 0; c < classes; c++) {
        const float *sc = s + c * stride;
        OfSums a = of_sums(of_class(by, c));
        Scaled q = mapped ? through_maps(by, c, from, n, room) : (Scaled){0, nothing};
        EACH_VOXEL {
            float g = label[i] == c ? 1.0f : 0.0f, d = through_sums(a, sc[i], g, squares);
            mean[i] += sc[i] * (mapped ? d + q.factor * q.row[i] : d);
        }
    }
    for (int c = 0; c < classes; c++) {
        OfSums a = of_sums(of_class(by, c));
        Scaled q = mapped ? through_maps(by, c, from, n, room) : (Scaled){0, nothing};
        float *sc = s + c * stride;
        EACH_VOXEL {
            float g = label[i] == c ? 1.0f : 0.0f, d = through_sums(a, sc[i], g, squares);
            float d_z = w[i] * sc[i] * ((mapped ? d + q.factor * q.row[i] : d) - mean[i]);
            float at_truth = missed[i], elsewhere = -h[i] * sc[i];
            sc[i] = with_h ? d_z + (g > 0 ? at_truth : elsewhere) : d_z;
        }
    }
}

typedef struct {
    float *s;
    int64_t stride;
    const int64_t *labels;
    const float *weight;
    int64_t classes, voxels;
    Upstream by;
} Backward;

static int backward(const void *job, int64_t from, int64_t to, int part) {
    const Backward *b = job;
    int classes = (int)b->classes, general = b->by.squares || b->by.q || b->by.maps.count;
    int32_t label[BLOCK];
    float w[BLOCK];
    (void)part;
    for (; from < to; from += BLOCK) {
        int n = take(b->labels, b->weight, from, to, label, w);
        const float *h = b->by.h ? b->by.h + from : nothing, *missed = b->by.h ? h + b->voxels : nothing;
        float *s = b->s + from;
        if (general && b->by.h) differentiate(s, b->stride, label, w, classes, n, &b->by, from, h, missed, 1, 1, 1);
        else if (general) differentiate(s, b->stride, label, w, classes, n, &b->by, from, h, missed, 1, 1, 0);
        else if (b->by.h) differentiate(s, b->stride, label, w, classes, n, &b->by, from, h, missed, 0, 0, 1);
        else differentiate(s, b->stride, label, w, classes, n, &b->by, from, h, missed, 0, 0, 0);
    }
    return DONE;
}

/* Turn the softmax s into dL/dz, given the gradients a (classes, 4 + maps) of the sums (with `squares`, a[2] and a[3] may
   differ from 0), h (2, voxels) of ln p, as it is and times 1 - p, and q (classes - first, voxels) of s itself per unit of
   weight, from the class `first` on; h and q may be NULL. */
int lo_softmax_gradient(float *s, int64_t stride, const int64_t *labels, const float *weight, int64_t classes,
                        int64_t voxels, const float *a, int64_t squares, const float *h, const float *q,
                        int64_t q_stride, int64_t first, const float *const *rows, int64_t maps, int64_t threads) {
    Upstream upstream = {a, squares, h, q, q_stride, first, {rows, maps}};
    Backward job = {s, stride, labels, weight, classes, voxels, upstream};
    return divide(backward, &job, voxels, threads);
}

/* Write g (classes, voxels): 1 where a class is the truth, else 0. */
void lo_one_hot(const int64_t *labels, int64_t classes, int64_t voxels, float *g) {
    for (int c = 0; c < classes; c++, g += voxels)
        _Pragma("omp simd") for (int64_t i = 0; i < voxels; i++) g[i] = labels[i] == c ? 1.0f : 0.0f;
}
