/* The walk over logits of regions: every channel has a truth of its own.

   Arrays over channels are (channels, voxels), those with a stride between channels may be part of larger ones; weights
   (voxels) may be NULL (all 1). */
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

/* Write the probabilities s; add the sums of w s, w g s, with `squares` w s^2 and w g s^2, and w g to table (channels,
   5); write ln p of the true states (channels, voxels); add the sum of w m s, with a map m from the channel `first` on,
   to dot. Each of s, table, log_p and map may be NULL. */
void lo_sigmoid(const float *z, int64_t z_stride, const uint8_t *truth, int64_t truth_stride, const float *weight,
                int64_t channels, int64_t voxels, float *s, int64_t s_stride, double *table, int64_t squares,
                float *log_p, const float *map, int64_t map_stride, int64_t first, double *dot) {
    float w[BLOCK], hit[BLOCK], p[BLOCK], found[BLOCK];
    for (int64_t c = 0; c < channels; c++)
        for (int64_t from = 0; from < voxels; from += BLOCK) {
            int n = voxels - from < BLOCK ? (int)(voxels - from) : BLOCK;
            const uint8_t *g = truth + c * truth_stride + from;
            sigmoid(z + c * z_stride + from, g, n, p, found);
            weigh(weight ? weight + from : weight, g, n, w, hit);
            if (table) add_sums(p, w, hit, n, (int)squares, table + 5 * c);
            if (s) memcpy(s + c * s_stride + from, p, n * sizeof(float));
            if (log_p) memcpy(log_p + c * voxels + from, found, n * sizeof(float));
            if (map && c >= first) *dot += product(p, w, map + (c - first) * map_stride + from, n);
        }
}

/* Turn the probabilities s into dL/dz, given the slopes a (channels, 4) of the sums, h (channels, voxels) of ln p, and
   price * q (channels - first, voxels) of s itself per unit of weight, from the channel `first` on; h and q may be
   NULL. */
void lo_region_gradient(float *s, int64_t stride, const uint8_t *truth, int64_t truth_stride, const float *weight,
                        int64_t channels, int64_t voxels, const float *a, int64_t squares, const float *h,
                        const float *q, int64_t q_stride, int64_t first, double price) {
    float w[BLOCK], hit[BLOCK], unit = (float)price;
    for (int64_t c = 0; c < channels; c++)
        for (int64_t from = 0; from < voxels; from += BLOCK) {
            int n = voxels - from < BLOCK ? (int)(voxels - from) : BLOCK;
            const uint8_t *g = truth + c * truth_stride + from;
            const float *hc = h ? h + c * voxels + from : nothing;
            const float *qc = row_of(q ? q + from : q, q_stride, c, first);
            float *sc = s + c * stride + from;
            weigh(weight ? weight + from : weight, g, n, w, hit);
            EACH_VOXEL {
                float is = g[i] ? 1.0f : 0.0f, d_s = w[i] * (slope(a + 4 * c, sc[i], is, (int)squares) + unit * qc[i]);
                sc[i] = d_s * (sc[i] - sc[i] * sc[i]) + hc[i] * (is - sc[i]);
            }
        }
}
