/* What both walks do with a block of voxels of one class. */
#include "functions.h"

#define BLOCK 256
#define EACH_VOXEL _Pragma("omp simd") for (int i = 0; i < n; i++)

/* Add the sums of w s, w g s, w s^2, w g s^2 and w g to the class's row of the table, given hit = w g. */
static inline void add_sums(const float *s, const float *w, const float *hit, int n, double *row) {
    float sum = 0, true_sum = 0, squares = 0, true_squares = 0, truth = 0;
    _Pragma("omp simd reduction(+ : sum, true_sum, squares, true_squares, truth)")
    for (int i = 0; i < n; i++) {
        float p = s[i], wp = w[i] * p, true_p = hit[i] * p;
        sum += wp;
        true_sum += true_p;
        squares += wp * p;
        true_squares += true_p * p;
        truth += hit[i];
    }
    row[0] += sum, row[1] += true_sum, row[2] += squares, row[3] += true_squares, row[4] += truth;
}

/* dL/ds of one class and voxel through the slopes a[0..3] of the class's first four sums, per unit of weight. */
static inline float slope(const float *a, float s, float hit) {
    return a[0] + 2 * a[2] * s + hit * (a[1] + 2 * a[3] * s);
}
