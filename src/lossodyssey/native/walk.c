/* The walk over logits of exclusive classes, in blocks of voxels that stay in the nearest cache.

   Arrays over classes are (classes, voxels) with a stride between classes; weights may be NULL (all 1). Loops run over
   voxels, so that compilers turn them into vector instructions; the truth is a comparison, never an index. */
#include <stdlib.h>

#include "walk.h"

/* Softmax s of n voxels, and ln p of their truth. */
static void softmax(const float *z, int64_t z_stride, const int32_t *label, int classes, int n, float *s,
                    int64_t s_stride, float *log_p) {
    float top[BLOCK], total[BLOCK];
    EACH_VOXEL top[i] = z[i];
    for (int c = 1; c < classes; c++) {
        const float *zc = z + c * z_stride;
        EACH_VOXEL top[i] = zc[i] > top[i] ? zc[i] : top[i];
    }
    EACH_VOXEL total[i] = log_p[i] = 0;
    for (int c = 0; c < classes; c++) {
        const float *zc = z + c * z_stride;
        float *sc = s + c * s_stride;
        EACH_VOXEL {
            float x = zc[i] - top[i], e = exponential(x);
            log_p[i] = label[i] == c ? x : log_p[i];
            total[i] += e;
            sc[i] = e;
        }
    }
    EACH_VOXEL {
        log_p[i] -= logarithm(total[i]);
        total[i] = 1 / total[i];
    }
    for (int c = 0; c < classes; c++) EACH_VOXEL s[c * s_stride + i] *= total[i];
}

/* The next block: its labels and weights; returns how many voxels. */
static int take(const int64_t *labels, const float *weight, int64_t from, int64_t voxels, int32_t *label, float *w) {
    int n = voxels - from < BLOCK ? (int)(voxels - from) : BLOCK;
    EACH_VOXEL label[i] = (int32_t)labels[from + i];
    if (weight) memcpy(w, weight + from, n * sizeof(float));
    else EACH_VOXEL w[i] = 1;
    return n;
}

/* Write the softmax s; add the sums of w s, w g s, w s^2, w g s^2 and w g to table (classes, 5); write ln p of the
   truth. Each of the three may be NULL. */
void lo_softmax(const float *z, int64_t z_stride, const int64_t *labels, const float *weight, int64_t classes,
                int64_t voxels, float *s, int64_t s_stride, double *table, float *log_p) {
    int32_t label[BLOCK];
    float w[BLOCK], found[BLOCK], *own = s ? NULL : malloc(classes * BLOCK * sizeof(float));
    if (!s && !own) abort();
    for (int64_t from = 0; from < voxels; from += BLOCK) {
        int n = take(labels, weight, from, voxels, label, w);
        float *p = s ? s + from : own;
        int64_t stride = s ? s_stride : BLOCK;
        softmax(z + from, z_stride, label, classes, n, p, stride, found);
        for (int c = 0; table && c < classes; c++) {
            float hit[BLOCK];
            EACH_VOXEL hit[i] = label[i] == c ? w[i] : 0.0f;
            add_sums(p + c * stride, w, hit, n, table + 5 * c);
        }
        if (log_p) memcpy(log_p + from, found, n * sizeof(float));
    }
    free(own);
}

/* Turn the softmax s into dL/dz, given the slopes a (classes, 4) of the sums, h (voxels) of ln p, and q (classes -
   first, voxels) of s itself from the class `first` on; h and q may be NULL. */
void lo_gradient(float *s, int64_t stride, const int64_t *labels, const float *weight, int64_t classes, int64_t voxels,
                 const float *a, const float *h, const float *q, int64_t first) {
    int32_t label[BLOCK];
    float w[BLOCK], direct[BLOCK], mean[BLOCK], nothing[BLOCK] = {0};
    for (int64_t from = 0; from < voxels; from += BLOCK) {
        int n = take(labels, weight, from, voxels, label, w);
        EACH_VOXEL mean[i] = direct[i] = h ? h[from + i] : 0;
        for (int c = 0; c < classes; c++) {
            const float *sc = s + c * stride + from;
            const float *qc = q && c >= first ? q + (c - first) * voxels + from : nothing;
            EACH_VOXEL {
                float hit = label[i] == c ? 1.0f : 0.0f;
                mean[i] += sc[i] * (w[i] * slope(a + 4 * c, sc[i], hit) + qc[i]);
            }
        }
        for (int c = 0; c < classes; c++) {
            float *sc = s + c * stride + from;
            const float *qc = q && c >= first ? q + (c - first) * voxels + from : nothing;
            EACH_VOXEL {
                float hit = label[i] == c ? 1.0f : 0.0f;
                sc[i] = sc[i] * (w[i] * slope(a + 4 * c, sc[i], hit) + qc[i] - mean[i]) + hit * direct[i];
            }
        }
    }
}

/* Write g (classes, voxels): 1 where a class is the truth, else 0. */
void lo_one_hot(const int64_t *labels, int64_t classes, int64_t voxels, float *g) {
    for (int c = 0; c < classes; c++, g += voxels)
        _Pragma("omp simd") for (int64_t i = 0; i < voxels; i++) g[i] = labels[i] == c ? 1.0f : 0.0f;
}
