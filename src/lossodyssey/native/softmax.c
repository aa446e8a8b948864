/* The sums of the pass over logits of exclusive classes, in blocks of voxels that stay in the nearest cache. */
#include "softmax.h"

typedef struct {
    Batch batch;
    int64_t squares;
    double *tables;
    float *s, *log_p, *room;
} Forward;

static int forward(const void *job, int64_t begin, int64_t end, int part) {
    const Forward *f = job;
    const Batch *b = &f->batch;
    int64_t classes = b->of.classes, columns = columns_of(b->maps, b->powers);
    double *tables = f->tables + part * b->of.samples * classes * columns;
    float *e = f->room + part * room_of(b), *values = e + classes * BLOCK;
    Voxels x;
    Stretch at;
    for (; begin < end; begin += at.n) {
        at = stretch(begin, end, b->of.voxels);
        int n = at.n;
        look(b, at, f->log_p || b->powers.count, NULL, 0, e, &x);
        float shared[BLOCK];
        EACH_VOXEL shared[i] = x.w[i] * x.r[i];
        values_of(b->powers, at.sample, at.from, &x.m[0], x.u, x.w, n, values);
        for (int64_t c = 0; c < classes; c++) {
            int64_t which = at.sample * classes + c;
            Block of_class = {e + c * BLOCK, x.r, shared, x.label, (int32_t)c, x.w, n};
            Sums to = sums_at(tables + which * columns, b->maps, b->powers);
            add_to_row(of_class, (int)f->squares, b->maps, which, at.from, values, b->powers.count, to);
            float *s = f->s ? f->s + which * b->of.voxels + at.from : NULL;
            if (s) EACH_VOXEL s[i] = of_class.e[i] * x.r[i];
        }
        if (f->log_p) memcpy(f->log_p + begin, x.u, n * sizeof(float));
    }
    return DONE;
}

/* Add up the table of every sample and class, see columns_of in pass.h, with squares if asked for; one table for each of
   the threads, which are to be summed. Write the softmax s (samples, classes, voxels) and ln p of the truth (samples,
   voxels) where they are not NULL.

   Voxels lie side by side; labels and weights of all samples without gaps. `kind` is the width of labels in bytes,
   negative for int8; those equal to `ignored` do not count if `ignores`. Weights are NULL (all 1), or of 4 bytes (float)
   or 1. `rows` (samples, classes, maps) are the addresses of maps, `power_rows` (samples, 1, primitives) those of the
   primitives' maps. `room` is for (classes + primitives) * 256 numbers per thread. */
int lo_softmax(const float *z, int64_t z_sample_stride, int64_t z_class_stride, int64_t samples, int64_t classes, int64_t voxels,
                const void *labels, int64_t kind, int64_t ignores, int64_t ignored, const void *weight,
                int64_t weight_kind, const float *const *rows, int64_t maps, const double *powers, int64_t primitives,
                const float *const *power_rows, int64_t squares, double *tables, float *s, float *log_p,
                float *room, int64_t threads) {
    Logits logits = {z, z_sample_stride, z_class_stride, samples, classes, voxels};
    Batch batch = {logits, labels, kind, ignores, ignored, weight, weight_kind, {rows, maps},
                   {(const Power *)powers, primitives, power_rows}};
    Forward job = {batch, squares, tables, s, log_p, room};
    return divide(forward, &job, samples * voxels, threads);
}

/* Write g (classes, voxels): 1 where a class is the truth, else 0. */
void lo_one_hot(const int64_t *labels, int64_t classes, int64_t voxels, float *g) {
    for (int c = 0; c < classes; c++, g += voxels)
        _Pragma("omp simd") for (int64_t i = 0; i < voxels; i++) g[i] = labels[i] == c ? 1.0f : 0.0f;
}
