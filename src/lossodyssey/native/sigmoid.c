/* The pass over logits of regions: every channel has a truth of its own.

   Arrays over channels are (channels, voxels), those with a stride between channels may be part of larger ones; weights
   may be NULL (all 1), and with a stride of 0 all channels share them. */
#include "pass.h"

/* The weights of a block, and those of its true voxels. */
static void weigh(const float *weight, const uint8_t *truth, int n, float *w, float *hit) {
    if (weight) memcpy(w, weight, n * sizeof(float));
    else EACH_VOXEL w[i] = 1;
    EACH_VOXEL hit[i] = truth[i] ? w[i] : 0.0f;
}

/* Sigmoid s of n voxels, and ln p of their true state. Voxels of weight 0 have the logit 0, whatever they hold. */
static void sigmoid(const float *z, const uint8_t *truth, const float *w, int n, float *s, float *log_p) {
    EACH_VOXEL {
        float logit = z[i], x = w[i] > 0 ? logit : 0.0f, e = exponential(x < 0 ? x : -x), right = truth[i] ? x : -x;
        s[i] = (x < 0 ? e : 1.0f) / (1 + e);
        log_p[i] = (right < 0 ? right : 0.0f) - logarithm_1p(e);
    }
}

typedef struct {
    const float *z;
    int64_t z_stride;
    const uint8_t *truth;
    int64_t truth_stride;
    const float *weight;
    int64_t weight_stride, channels, voxels;
    Outputs to;
} Forward;

static int forward(const void *job, int64_t begin, int64_t to, int part) {
    const Forward *f = job;
    float w[BLOCK], hit[BLOCK], p[BLOCK], found[BLOCK];
    double *table = table_of(&f->to, f->channels, part);
    int64_t columns = 5 + 2 * f->to.maps.count;
    for (int64_t c = 0; c < f->channels; c++)
        for (int64_t from = begin; from < to; from += BLOCK) {
            int n = to - from < BLOCK ? (int)(to - from) : BLOCK;
            const uint8_t *g = f->truth + c * f->truth_stride + from;
            weigh(f->weight ? f->weight + c * f->weight_stride + from : NULL, g, n, w, hit);
            sigmoid(f->z + c * f->z_stride + from, g, w, n, p, found);
            if (table) add_to_row(&f->to, c, from, p, w, hit, n, table + c * columns);
            if (f->to.s) memcpy(f->to.s + c * f->to.stride + from, p, n * sizeof(float));
            if (f->to.log_p) memcpy(f->to.log_p + c * f->voxels + from, found, n * sizeof(float));
        }
    return DONE;
}

/* Write the probabilities s; add to tables (threads, channels, 5 + 2 maps), which are to be summed, the sums of
   w (1 - g) s, w g s, with `squares` w (1 - g) s^2 and w g s^2, and w g, then those of w m s under each map m, then those
   of w m g; write ln p of the true states (channels, voxels). `rows` (channels, maps) are the addresses of the maps, or
   NULL. Each of s, tables and log_p may be NULL. */
int lo_sigmoid(const float *z, int64_t z_stride, const uint8_t *truth, int64_t truth_stride, const float *weight,
               int64_t weight_stride, int64_t channels, int64_t voxels, float *s, int64_t s_stride, double *tables,
               int64_t squares, float *log_p, const float *const *rows, int64_t maps, int64_t threads) {
    Outputs outputs = {s, s_stride, tables, squares, log_p, {rows, maps}};
    Forward job = {z, z_stride, truth, truth_stride, weight, weight_stride, channels, voxels, outputs};
    return divide(forward, &job, voxels, threads);
}

typedef struct {
    float *s;
    int64_t stride;
    const uint8_t *truth;
    int64_t truth_stride;
    const float *weight;
    int64_t weight_stride, channels, voxels;
    Upstream by;
} Backward;

static int backward(const void *job, int64_t begin, int64_t to, int part) {
    const Backward *b = job;
    float w[BLOCK], hit[BLOCK], room[BLOCK];
    (void)part;
    for (int64_t c = 0; c < b->channels; c++)
        for (int64_t from = begin; from < to; from += BLOCK) {
            int n = to - from < BLOCK ? (int)(to - from) : BLOCK;
            const uint8_t *g = b->truth + c * b->truth_stride + from;
            const float *h = b->by.h ? b->by.h + c * b->voxels + from : nothing;
            OfSums a = of_sums(of_class(&b->by, c));
            Scaled q = through_maps(&b->by, c, from, n, room);
            float *s = b->s + c * b->stride + from;
            weigh(b->weight ? b->weight + c * b->weight_stride + from : NULL, g, n, w, hit);
            EACH_VOXEL {
                float is = g[i] ? 1.0f : 0.0f, through = through_sums(a, s[i], is, (int)b->by.squares);
                float d_s = w[i] * (through + q.factor * q.row[i]);
                s[i] = d_s * (s[i] - s[i] * s[i]) + (g[i] ? h[i] : -h[i]);
            }
        }
    return DONE;
}

/* Turn the probabilities s into dL/dz, given the gradients a (channels, 4 + maps) of the sums, h (channels, voxels) of
   ln p times 1 - p, and q (channels - first, voxels) of s itself per unit of weight, from the channel `first` on; h and q
   may be NULL. */
int lo_sigmoid_gradient(float *s, int64_t stride, const uint8_t *truth, int64_t truth_stride, const float *weight,
                        int64_t weight_stride, int64_t channels, int64_t voxels, const float *a, int64_t squares,
                        const float *h, const float *q, int64_t q_stride, int64_t first, const float *const *rows,
                        int64_t maps, int64_t threads) {
    Upstream upstream = {a, squares, h, q, q_stride, first, {rows, maps}};
    Backward job = {s, stride, truth, truth_stride, weight, weight_stride, channels, voxels, upstream};
    return divide(backward, &job, voxels, threads);
}
