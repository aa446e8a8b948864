/* The walk over logits of regions: every channel has a truth of its own.

   Arrays over channels are (channels, voxels), those with a stride between channels may be part of larger ones; weights
   may be NULL (all 1), and with a stride of 0 all channels share them. */
#include "walk.h"

/* The weights of a block, and those of its true voxels. */
static void weigh(const float *weight, const uint8_t *truth, int n, float *w, float *hit) {
    if (weight) memcpy(w, weight, n * sizeof(float));
    else EACH_VOXEL w[i] = 1;
    EACH_VOXEL hit[i] = truth[i] ? w[i] : 0.0f;
}

static void sigmoid(const float *z, const uint8_t *truth, int n, float *s, float *log_p) {
    EACH_VOXEL {
        float e = exponential(z[i] < 0 ? z[i] : -z[i]), right = truth[i] ? z[i] : -z[i];
        s[i] = (z[i] < 0 ? e : 1.0f) / (1 + e);
        log_p[i] = (right < 0 ? right : 0.0f) - logarithm(1 + e);
    }
}

typedef struct {
    const float *z;
    int64_t z_stride;
    const uint8_t *truth;
    int64_t truth_stride;
    const float *weight;
    int64_t weight_stride, channels, voxels;
    Wanted to;
} Forward;

static void forward(const void *job, int64_t begin, int64_t to, int part) {
    const Forward *f = job;
    float w[BLOCK], hit[BLOCK], p[BLOCK], found[BLOCK];
    double *table = f->to.tables ? f->to.tables + part * f->channels * 5 : NULL;
    for (int64_t c = 0; c < f->channels; c++)
        for (int64_t from = begin; from < to; from += BLOCK) {
            int n = to - from < BLOCK ? (int)(to - from) : BLOCK;
            const uint8_t *g = f->truth + c * f->truth_stride + from;
            sigmoid(f->z + c * f->z_stride + from, g, n, p, found);
            weigh(f->weight ? f->weight + c * f->weight_stride + from : NULL, g, n, w, hit);
            if (table) add_sums(p, w, hit, n, (int)f->to.squares, table + 5 * c);
            if (f->to.s) memcpy(f->to.s + c * f->to.stride + from, p, n * sizeof(float));
            if (f->to.log_p) memcpy(f->to.log_p + c * f->voxels + from, found, n * sizeof(float));
            if (f->to.map && c >= f->to.first)
                f->to.dots[part] += product(p, w, f->to.map + (c - f->to.first) * f->to.map_stride + from, n);
        }
}

/* Write the probabilities s; add the sums of w s, w g s, with `squares` w s^2 and w g s^2, and w g to tables (threads,
   channels, 5), which are to be summed; write ln p of the true states (channels, voxels); add the sum of w m s, with a
   map m from the channel `first` on, to dots (threads). Each of s, tables, log_p and map may be NULL. */
void lo_sigmoid(const float *z, int64_t z_stride, const uint8_t *truth, int64_t truth_stride, const float *weight,
                int64_t weight_stride, int64_t channels, int64_t voxels, float *s, int64_t s_stride, double *tables,
                int64_t squares, float *log_p, const float *map, int64_t map_stride, int64_t first, double *dots,
                int64_t threads) {
    Wanted wanted = {s, s_stride, tables, squares, log_p, map, map_stride, first, dots};
    Forward job = {z, z_stride, truth, truth_stride, weight, weight_stride, channels, voxels, wanted};
    divide(forward, &job, voxels, threads);
}

typedef struct {
    float *s;
    int64_t stride;
    const uint8_t *truth;
    int64_t truth_stride;
    const float *weight;
    int64_t weight_stride, channels, voxels;
    Slopes by;
} Backward;

static void backward(const void *job, int64_t begin, int64_t to, int part) {
    const Backward *b = job;
    float w[BLOCK], hit[BLOCK];
    (void)part;
    for (int64_t c = 0; c < b->channels; c++)
        for (int64_t from = begin; from < to; from += BLOCK) {
            int n = to - from < BLOCK ? (int)(to - from) : BLOCK;
            const uint8_t *g = b->truth + c * b->truth_stride + from;
            const float *h = b->by.h ? b->by.h + c * b->voxels + from : nothing;
            const float *q = row_of(b->by.q ? b->by.q + from : NULL, b->by.q_stride, c, b->by.first), *a = b->by.a + 4 * c;
            float *s = b->s + c * b->stride + from;
            weigh(b->weight ? b->weight + c * b->weight_stride + from : NULL, g, n, w, hit);
            EACH_VOXEL {
                float is = g[i] ? 1.0f : 0.0f, d_s = w[i] * (slope(a, s[i], is, (int)b->by.squares) + b->by.price * q[i]);
                s[i] = d_s * (s[i] - s[i] * s[i]) + h[i] * (is - s[i]);
            }
        }
}

/* Turn the probabilities s into dL/dz, given the slopes a (channels, 4) of the sums, h (channels, voxels) of ln p, and
   price * q (channels - first, voxels) of s itself per unit of weight, from the channel `first` on; h and q may be
   NULL. */
void lo_region_gradient(float *s, int64_t stride, const uint8_t *truth, int64_t truth_stride, const float *weight,
                        int64_t weight_stride, int64_t channels, int64_t voxels, const float *a, int64_t squares,
                        const float *h, const float *q, int64_t q_stride, int64_t first, double price, int64_t threads) {
    Slopes slopes = {a, squares, h, q, q_stride, first, (float)price};
    Backward job = {s, stride, truth, truth_stride, weight, weight_stride, channels, voxels, slopes};
    divide(backward, &job, voxels, threads);
}
