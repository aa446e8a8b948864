/* What the passes over logits do with a block of voxels of one class. */
#include "threads.h"
#include "vectors.h"

#define BLOCK GRAIN
#define ROW (BLOCK + 16) /* a block and a line more: rows a whole page apart would wait for each other in the cache */
#define EACH_VOXEL _Pragma("omp simd") for (int i = 0; i < n; i++)
/* Tiles of voxels in buffers of ROW numbers: the last one may reach beyond n. */
#define EACH_TILE for (int i = 0; i < n; i += WIDTH)

#include "powers.h"

static const float nothing[ROW];

/* Logits (samples, classes, voxels) whose voxels lie side by side. */
typedef struct {
    const float *z;
    int64_t by_sample, by_class, samples, classes, voxels;
} Logits;

/* Numbers by which the voxels of a map count: row k of class c in a sample begins at rows[(sample * classes + c) * count + k],
   NULL where the class has no part in that map's sums. */
typedef struct {
    const float *const *rows;
    int64_t count;
} Maps;

/* The primitives of voxel terms, and a map for each that has one. */
typedef struct {
    const Power *all;
    int64_t count;
    const float *const *rows;
} Powers;

/* The table of sums per sample and class: over false and true voxels s, then s^2, the truth g, the weights, then s and
   g under each map, then each primitive over true voxels, then over false ones. */
static inline int64_t columns_of(Maps maps, Powers powers) { return 6 + 2 * maps.count + 2 * powers.count; }

static inline const float *row_of(const float *const *rows, int64_t count, int64_t which, int64_t k, int64_t from) {
    const float *row = rows && k < count ? rows[which * count + k] : NULL;
    return row ? row + from : NULL;
}

/* A stretch of voxels of one sample. */
typedef struct {
    int64_t sample, from;
    int n;
} Stretch;

/* The places of voxels in blocks, the last block of each sample filled up: so a voxel has the same block whatever the
   number of threads. */
static inline int64_t places(Logits of) { return of.samples * ((of.voxels + BLOCK - 1) / BLOCK * BLOCK); }

/* The block that begins at a place. */
static inline Stretch stretch(int64_t place, int64_t voxels) {
    int64_t padded = (voxels + BLOCK - 1) / BLOCK * BLOCK, from = place % padded, n = voxels - from;
    return (Stretch){place / padded, from, n < BLOCK ? (int)n : BLOCK};
}

/* Read whole numbers of any width: `kind` is the number of bytes, negative for int8. */
static inline void read_numbers(const void *from, int64_t kind, int64_t at, int n, int32_t *to) {
    if (kind == 8) EACH_VOXEL to[i] = (int32_t)((const int64_t *)from)[at + i];
    else if (kind == 4) EACH_VOXEL to[i] = ((const int32_t *)from)[at + i];
    else if (kind == 2) EACH_VOXEL to[i] = ((const int16_t *)from)[at + i];
    else if (kind == 1) EACH_VOXEL to[i] = ((const uint8_t *)from)[at + i];
    else EACH_VOXEL to[i] = ((const int8_t *)from)[at + i];
}

/* Read weights of 4 bytes (float) or 1 (0 or 1). */
static inline void read_weights(const void *from, int64_t kind, int64_t at, int n, float *w) {
    if (!from) EACH_VOXEL w[i] = 1;
    else if (kind == 4) memcpy(w, (const float *)from + at, n * sizeof(float));
    else EACH_VOXEL w[i] = ((const uint8_t *)from)[at + i] ? 1.0f : 0.0f;
}

#define LARGE (1 << 22) /* numbers of 4 bytes */

/* A gradient to write, for logits of a shape; past the caches where it is larger than what they keep, and whole lines. */
typedef struct {
    float *out;
    int64_t by_sample, by_class;
    int beyond;
} Gradient;

static inline Gradient gradient(Logits of, float *out, int64_t by_sample, int64_t by_class) {
    int64_t lines = (int64_t)(uintptr_t)out / 4 | by_sample | by_class;
    int large = of.samples * of.classes * of.voxels > LARGE;
    return (Gradient){out, by_sample, by_class, large && lines % 16 == 0};
}

/* Write what was found of a block of voxels of one class. */
static inline void write_found(Gradient to, Stretch at, int64_t c, const float *found) {
    float *out = to.out + at.sample * to.by_sample + c * to.by_class + at.from;
    int i = 0;
    for (; to.beyond && i + WIDTH <= at.n; i += WIDTH) store_beyond(out + i, load(found + i));
    memcpy(out + i, found + i, (at.n - i) * sizeof(float));
}

/* The sums of a class in a sample; see columns_of. */
typedef struct {
    double *row, *under, *truth_under, *true_values, *false_values;
} Sums;

static inline Sums sums_at(double *row, Maps maps, Powers powers) {
    double *under = row + 6, *values = under + 2 * maps.count;
    return (Sums){row, under, under + maps.count, values, values + powers.count};
}

/* A block of voxels of one class: probabilities e r, and w r; labels of which `own` is the class; weights w. */
typedef struct {
    const float *e, *r, *wr;
    const int32_t *label;
    int32_t own;
    const float *w;
    int n;
} Block;

/* Add the sums over the block, with a map m those under it too. False voxels are summed apart, and not as the difference
   to all voxels: where there are none, their sum is 0 and not what rounding leaves. */
ALWAYS_INLINE void add_sums(Block b, int squares, const float *m, Sums to) {
    float sum = 0, true_sum = 0, square_sum = 0, true_squares = 0, truth = 0, map_sum = 0, map_truth = 0;
    const float *e = b.e, *r = b.r, *wr = b.wr, *w = b.w;
    const int32_t *label = b.label, own = b.own;
    _Pragma("omp simd reduction(+ : sum, true_sum, square_sum, true_squares, truth, map_sum, map_truth)")
    for (int i = 0; i < b.n; i++) {
        /* Products, not choices: compilers do not make vectors of sums to which a choice is added. */
        float truth_here = label[i] == own ? 1.0f : 0.0f, elsewhere = 1 - truth_here;
        float s = e[i] * wr[i], true_s = truth_here * s, false_s = elsewhere * s, p = e[i] * r[i];
        float true_w = truth_here * w[i];
        sum += false_s;
        true_sum += true_s;
        truth += true_w;
        if (squares) square_sum += false_s * p, true_squares += true_s * p;
        if (m) map_sum += s * m[i], map_truth += true_w * m[i];
    }
    to.row[0] += sum, to.row[1] += true_sum, to.row[2] += square_sum, to.row[3] += true_squares, to.row[4] += truth;
    if (m) *to.under += map_sum, *to.truth_under += map_truth;
}

/* Add the sums of a further map. */
static inline void add_map(Block b, const float *m, double *under, double *truth_under) {
    float sum = 0, truth = 0;
    _Pragma("omp simd reduction(+ : sum, truth)") for (int i = 0; i < b.n; i++) {
        sum += b.e[i] * b.wr[i] * m[i];
        truth += (b.label[i] == b.own ? 1.0f : 0.0f) * b.w[i] * m[i];
    }
    *under += sum, *truth_under += truth;
}

/* Add all sums of a block of row `which` of the maps. The first map is summed in the same loop as the rest. */
static inline void add_to_row(Block b, int squares, Maps maps, int64_t which, int64_t from, Sums to) {
    const float *m = row_of(maps.rows, maps.count, which, 0, from);
    double unused = 0;
    Sums without = to;
    without.under = without.truth_under = &unused;
    if (squares) add_sums(b, 1, m ? m : nothing, m ? to : without);
    else if (m) add_sums(b, 0, m, to);
    else add_sums(b, 0, NULL, to);
    for (int64_t k = 1; k < maps.count; k++)
        if ((m = row_of(maps.rows, maps.count, which, k, from))) add_map(b, m, to.under + k, to.truth_under + k);
}

/* Add the values f of the voxels whose label is `own`; the last tile is 0 beyond n. */
static inline void add_value(const int32_t *label, int32_t own, const float *f, int n, double *sum) {
    Vector found = every(0);
    EACH_TILE found += where(equal(load_whole(label + i), own), load(f + i));
    *sum += total(found);
}

/* Write the values of the primitives times weights (NULL: all 1) and maps, ROW of each, and 0 in the rest of the last
   tile; row `which` of their maps is meant. */
static inline void values_of(Powers powers, int64_t which, int64_t from, const float *m, const float *u,
                             const float *w, int n, float *values) {
    for (int64_t k = 0; k < powers.count; k++, values += ROW) {
        const float *map = row_of(powers.rows, powers.count, which, k, from);
        power_values(powers.all[k], m, u, n, values);
        if (w) EACH_TILE store(values + i, load(values + i) * load(w + i));
        if (map) EACH_VOXEL values[i] *= map[i];
        for (int i = n; i % WIDTH; i++) values[i] = 0;
    }
}

/* The gradients of a class's first four sums, of false and of true voxels in turn. They are read before a loop over
   voxels: a choice between addresses inside it would keep compilers from vector instructions. */
typedef struct {
    float on_false, on_true, square_on_false, square_on_true;
} OfSums;

static inline OfSums of_sums(const float *a) { return (OfSums){a[0], a[1], a[2], a[3]}; }

/* dL/ds of one voxel per unit of weight, through the class's first four sums. */
ALWAYS_INLINE float through_sums(OfSums a, float s, int is_true, int squares) {
    float sum = is_true ? a.on_true : a.on_false;
    return squares ? sum + 2 * s * (is_true ? a.square_on_true : a.square_on_false) : sum;
}

/* A row of numbers, all times a factor. */
typedef struct {
    float factor;
    const float *row;
} Scaled;

/* dL/ds of a class per unit of weight, through q and through the sums under maps, whose gradients are a; added up in
   `room` where there are several. */
static inline Scaled through_maps(const float *q, const float *a, Maps maps, int64_t which, int64_t from, int n,
                                  float *room) {
    Scaled sum = {q ? 1 : 0, q ? q : nothing};
    for (int64_t k = 0; k < maps.count; k++) {
        Scaled next = {a[k], row_of(maps.rows, maps.count, which, k, from)};
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
