/* What the passes over logits do with a block of voxels of one class. Whether there are `squares` (and maps) is known
   where these functions are compiled into their callers. */
#include "functions.h"
#include "threads.h"

#define BLOCK GRAIN
#define EACH_VOXEL _Pragma("omp simd") for (int i = 0; i < n; i++)
#define ALWAYS_INLINE static inline __attribute__((always_inline))

static const float nothing[BLOCK];

/* Where each class finds each map: the first voxel of map k for class c is *rows[c * count + k], NULL where the class has
   no part in that map's sums. */
typedef struct {
    const float *const *rows;
    int64_t count;
} Maps;

/* What the forward pass writes; see lo_softmax. */
typedef struct {
    float *s;
    int64_t stride;
    double *tables;
    int64_t squares;
    float *log_p;
    Maps maps;
} Outputs;

/* The gradients that the backward pass is given; see lo_softmax_gradient. */
typedef struct {
    const float *a;
    int64_t squares;
    const float *h, *q;
    int64_t q_stride, first;
    Maps maps;
} Upstream;

static inline double *table_of(const Outputs *to, int64_t classes, int part) {
    return to->tables ? to->tables + part * classes * (5 + 2 * to->maps.count) : NULL;
}

/* Add the sums of w (1 - g) s, w g s, w (1 - g) s^2, w g s^2 and w g to a class's row of the table, given hit = w g; and
   with a map m those of w m s and w m g to *under and *truth_under. False voxels are summed apart, and not as the
   difference to all voxels: where there are none, their sum is 0 and not what rounding leaves. */
ALWAYS_INLINE void add_sums(const float *s, const float *w, const float *hit, int n, int squares, const float *m,
                            int mapped, double *row, double *under, double *truth_under) {
    float sum = 0, true_sum = 0, square_sum = 0, true_squares = 0, truth = 0, map_sum = 0, map_truth = 0;
    _Pragma("omp simd reduction(+ : sum, true_sum, square_sum, true_squares, truth, map_sum, map_truth)")
    for (int i = 0; i < n; i++) {
        float p = s[i], false_p = (w[i] - hit[i]) * p, true_p = hit[i] * p;
        sum += false_p;
        true_sum += true_p;
        truth += hit[i];
        if (squares) square_sum += false_p * p, true_squares += true_p * p;
        if (mapped) map_sum += w[i] * p * m[i], map_truth += hit[i] * m[i];
    }
    row[0] += sum, row[1] += true_sum, row[2] += square_sum, row[3] += true_squares, row[4] += truth;
    if (mapped) *under += map_sum, *truth_under += map_truth;
}

/* Add the sums of w m s and w m g, given hit = w g. */
static inline void add_map_sums(const float *s, const float *w, const float *hit, int n, const float *m, double *under,
                                double *truth_under) {
    float sum = 0, truth = 0;
    _Pragma("omp simd reduction(+ : sum, truth)") for (int i = 0; i < n; i++) {
        sum += w[i] * m[i] * s[i];
        truth += hit[i] * m[i];
    }
    *under += sum, *truth_under += truth;
}

static inline const float *row_of(Maps maps, int64_t c, int64_t k, int64_t from) {
    const float *row = k < maps.count ? maps.rows[c * maps.count + k] : NULL;
    return row ? row + from : NULL;
}

/* Add all sums of a block of class c to its row of the table: the first map is summed in the same loop as the rest. */
static inline void add_to_row(const Outputs *to, int64_t c, int64_t from, const float *s, const float *w,
                              const float *hit, int n, double *row) {
    double *under = row + 5, *truth_under = under + to->maps.count;
    const float *m = row_of(to->maps, c, 0, from);
    if (to->squares && m) add_sums(s, w, hit, n, 1, m, 1, row, under, truth_under);
    else if (to->squares) add_sums(s, w, hit, n, 1, NULL, 0, row, NULL, NULL);
    else if (m) add_sums(s, w, hit, n, 0, m, 1, row, under, truth_under);
    else add_sums(s, w, hit, n, 0, NULL, 0, row, NULL, NULL);
    for (int64_t k = 1; k < to->maps.count; k++)
        if ((m = row_of(to->maps, c, k, from))) add_map_sums(s, w, hit, n, m, under + k, truth_under + k);
}

/* The gradients of class c's sums: of its first four, then of those under maps. */
static inline const float *of_class(const Upstream *by, int64_t c) { return by->a + c * (4 + by->maps.count); }

/* The gradients of a class's first four sums, of false and of true voxels in turn. They are read before a loop over
   voxels: a choice between addresses inside it would keep compilers from vector instructions. */
typedef struct {
    float on_false, on_true, square_on_false, square_on_true;
} OfSums;

static inline OfSums of_sums(const float *a) { return (OfSums){a[0], a[1], a[2], a[3]}; }

/* dL/ds of one voxel per unit of weight, through the class's first four sums. */
ALWAYS_INLINE float through_sums(OfSums a, float s, float g, int squares) {
    float sum = g > 0 ? a.on_true : a.on_false;
    return squares ? sum + 2 * s * (g > 0 ? a.square_on_true : a.square_on_false) : sum;
}

/* A row of numbers, all times a factor. */
typedef struct {
    float factor;
    const float *row;
} Scaled;

/* dL/ds of class c per unit of weight, through everything else: q and the sums under maps, added up in `room` where
   there are several. */
static inline Scaled through_maps(const Upstream *by, int64_t c, int64_t from, int n, float *room) {
    Scaled sum = {0, nothing};
    if (by->q && c >= by->first) sum = (Scaled){1, by->q + (c - by->first) * by->q_stride + from};
    for (int64_t k = 0; k < by->maps.count; k++) {
        Scaled next = {of_class(by, c)[4 + k], row_of(by->maps, c, k, from)};
        if (!next.row || next.factor == 0) continue;
        if (sum.factor == 0) {
            sum = next;
            continue;
        }
        EACH_VOXEL room[i] = sum.factor * sum.row[i] + next.factor * next.row[i];
        sum = (Scaled){1, room};
    }
    return sum;
}
