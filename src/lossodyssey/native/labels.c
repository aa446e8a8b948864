/* The checks of a truth, in one pass at the speed of memory. */
#include "pass.h"

typedef struct {
    const void *labels;
    int64_t kind, ignores, ignored, *largest;
} Check;

/* As unsigned numbers, negative labels are larger than all others. */
#define LARGEST(type) \
    do { \
        const type *label = c->labels; \
        _Pragma("omp simd reduction(max : largest)") for (int64_t i = begin; i < end; i++) { \
            uint64_t found = c->ignores && label[i] == c->ignored ? 0 : (uint64_t)(int64_t)label[i]; \
            largest = found > largest ? found : largest; \
        } \
    } while (0)

static int check(const void *job, int64_t begin, int64_t end, int part) {
    const Check *c = job;
    uint64_t largest = 0;
    if (c->kind == 8) LARGEST(int64_t);
    else if (c->kind == 4) LARGEST(int32_t);
    else if (c->kind == 2) LARGEST(int16_t);
    else if (c->kind == 1) LARGEST(uint8_t);
    else LARGEST(int8_t);
    c->largest[part] = largest > INT64_MAX ? INT64_MAX : (int64_t)largest;
    return DONE;
}

/* Write the largest label of the part of each thread; it is the largest number of all where one is negative. `kind` and
   what is ignored are those of lo_softmax. */
int lo_largest_label(const void *labels, int64_t kind, int64_t n, int64_t ignores, int64_t ignored, int64_t *largest,
                     int64_t threads) {
    Check job = {labels, kind, ignores, ignored, largest};
    return divide(check, &job, n, threads);
}

typedef struct {
    const float *truth;
    int64_t classes, voxels, exclusive, *found;
} Shares;

#define SUM_OFF 1e-3f /* shares that were rounded to half precision do not sum to 1 exactly */

static int check_shares(const void *job, int64_t begin, int64_t end, int part) {
    const Shares *of = job;
    int soft = 0, wrong = 0;
    for (; begin < end; begin += BLOCK) {
        Stretch at = stretch(begin, of->voxels);
        float sum[ROW] = {0};
        int n = at.n;
        for (int64_t c = 0; c < of->classes; c++) {
            const float *g = of->truth + (at.sample * of->classes + c) * of->voxels + at.from;
            _Pragma("omp simd reduction(| : soft, wrong)") for (int i = 0; i < n; i++) {
                soft |= (g[i] != 0) & (g[i] != 1);
                wrong |= !(g[i] >= 0) | !(g[i] <= 1);
                sum[i] += g[i];
            }
        }
        _Pragma("omp simd reduction(| : wrong)") for (int i = 0; i < n; i++) {
            float off = sum[i] - 1;
            wrong |= of->exclusive && !((off <= SUM_OFF) & (off >= -SUM_OFF));
        }
    }
    of->found[2 * part] = soft, of->found[2 * part + 1] = wrong;
    return DONE;
}

/* Write, of the part of each thread, whether a number of the truth (samples, classes, voxels) is neither 0 nor 1, and
   whether one lies outside 0..1 or, of exclusive classes, those of a voxel do not sum to 1. */
int lo_check_shares(const float *truth, int64_t samples, int64_t classes, int64_t voxels, int64_t exclusive,
                    int64_t *found, int64_t threads) {
    Shares job = {truth, classes, voxels, exclusive, found};
    return divide(check_shares, &job, places((Logits){truth, 0, 0, samples, classes, voxels}), threads);
}
