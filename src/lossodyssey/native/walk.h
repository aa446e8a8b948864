/* What both walks do with a block of voxels of one class. Whether there are `squares` (and maps) is known where these
   are compiled into their callers. */
#include "functions.h"
#include "threads.h"

#define BLOCK GRAIN
#define EACH_VOXEL _Pragma("omp simd") for (int i = 0; i < n; i++)
#define ALWAYS_INLINE static inline __attribute__((always_inline))

static const float nothing[BLOCK];

/* What the way forward writes, and the slopes that the way back is given; see lo_softmax and lo_gradient. */
typedef struct {
    float *s;
    int64_t stride;
    double *tables;
    int64_t squares;
    float *log_p;
    const float *map;
    int64_t map_stride, first;
    double *dots;
} Wanted;

typedef struct {
    const float *a;
    int64_t squares;
    const float *h, *q;
    int64_t q_stride, first;
    float price;
} Slopes;

/* Add the sums of w s, w g s, w s^2, w g s^2 and w g to the class's row of the table, given hit = w g. */
ALWAYS_INLINE void add_sums(const float *s, const float *w, const float *hit, int n, int squares, double *row) {
    float sum = 0, true_sum = 0, square_sum = 0, true_squares = 0, truth = 0;
    _Pragma("omp simd reduction(+ : sum, true_sum, square_sum, true_squares, truth)")
    for (int i = 0; i < n; i++) {
        float p = s[i], wp = w[i] * p, true_p = hit[i] * p;
        sum += wp;
        true_sum += true_p;
        truth += hit[i];
        if (squares) square_sum += wp * p, true_squares += true_p * p;
    }
    row[0] += sum, row[1] += true_sum, row[2] += square_sum, row[3] += true_squares, row[4] += truth;
}

/* The sum of w m s. */
static inline float product(const float *s, const float *w, const float *m, int n) {
    float sum = 0;
    _Pragma("omp simd reduction(+ : sum)") for (int i = 0; i < n; i++) sum += w[i] * m[i] * s[i];
    return sum;
}

/* dL/ds of one class and voxel through the slopes a[0..3] of the class's first four sums, per unit of weight. */
ALWAYS_INLINE float slope(const float *a, float s, float g, int squares) {
    return squares ? a[0] + g * a[1] + 2 * s * (a[2] + g * a[3]) : a[0] + g * a[1];
}

/* The classes that a map is given for, from `first` on. */
static inline const float *row_of(const float *map, int64_t stride, int64_t c, int64_t first) {
    return map && c >= first ? map + (c - first) * stride : nothing;
}
