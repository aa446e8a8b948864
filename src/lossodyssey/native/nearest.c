/* The objects of a map that are nearest to each voxel, exactly, one axis after another.

   A voxel keeps its nearest object and the nearest one of another number, with their squared distances. Along each
   axis it takes the nearest two of those that the voxels of its line kept, each with the squared step to there more.
   Of objects at equal distances the one of the lower number comes first; which one comes second only matters to the
   distance. From one voxel to the next a distance grows by at most one step: only a few voxels around are looked at. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lines.h"
#include "status.h"

#define ALWAYS static inline __attribute__((always_inline))

typedef struct {
    Row first, second;
    Labels nearest, next;
} Kept;

ALWAYS void offer(Kept *best, const Row distance, const Labels number, float price, int two) {
    EACH_LANE {
        float far = distance[k] + price, first = best->first[k];
        int32_t who = number[k], nearest = best->nearest[k];
        int same = who == nearest;
        int nearer = (far < first) | ((far == first) & (who < nearest));
        if (two) {
            int pushed = nearer & !same, later = !nearer & !same & (far < best->second[k]);
            best->second[k] = pushed ? first : later ? far : best->second[k];
            best->next[k] = pushed ? nearest : later ? who : best->next[k];
        }
        best->first[k] = nearer ? far : first;
        best->nearest[k] = nearer ? who : nearest;
    }
}

ALWAYS void offer_all(Kept *best, const Kept *there, float price, int two) {
    offer(best, there->first, there->nearest, price, two);
    if (two) offer(best, there->second, there->next, price, two);
}

/* Walk on by one voxel: what was met on the way is `price` farther, unless an object lies here. */
ALWAYS void meet(Kept *way, const Labels number, int two) {
    EACH_LANE {
        float first = way->first[k] + 1;
        int here = number[k] != 0, other = here & (number[k] != way->nearest[k]);
        if (two) {
            way->second[k] = other ? first : way->second[k] + 1;
            way->next[k] = other ? way->nearest[k] : way->next[k];
        }
        way->first[k] = here ? 0 : first;
        way->nearest[k] = here ? number[k] : way->nearest[k];
    }
}

static void begin(Kept *way) {
    EACH_LANE way->first[k] = way->second[k] = INFINITY, way->nearest[k] = way->next[k] = 0;
}

/* The first axis: the objects met on the way from one end, and from the other. */
ALWAYS void scan(const Labels *number, int64_t n, float step, Kept *found, int two) {
    Kept way;
    begin(&way);
    for (int64_t i = 0; i < n; i++) {
        meet(&way, number[i], two);
        found[i] = way;
    }
    begin(&way);
    for (int64_t i = n - 1; i >= 0; i--) {
        meet(&way, number[i], two);
        offer_all(&found[i], &way, 0, two);
    }
    for (int64_t i = 0; i < n; i++)
        EACH_LANE {
            found[i].first[k] = found[i].first[k] * step * (found[i].first[k] * step);
            found[i].second[k] = found[i].second[k] * step * (found[i].second[k] * step);
        }
}

/* How many voxels away the farthest of the kept objects can be, at most `most`; `all`: it is the length of the line,
   and what the voxel before has not found is nowhere. */
ALWAYS int64_t reach(const Kept *before, const Kept *here, float step, int64_t most, int all, int two) {
    float farthest = 0, limit = all ? 0 : INFINITY;
    _Pragma("omp simd reduction(max : farthest)") for (int k = 0; k < LANES; k++) {
        float first = before->first[k], second = before->second[k];
        float known = two && (second < INFINITY || !all) ? second : first;
        float own = two && (second < INFINITY || !all) ? here->second[k] : here->first[k];
        float bound = sqrtf(known) + step;
        bound = own < bound * bound ? sqrtf(own) : bound;
        bound = bound < INFINITY ? bound : limit;
        farthest = bound > farthest ? bound : farthest;
    }
    return farthest < most * step ? (int64_t)(farthest / step * 1.00001f) : most;
}

/* Another axis. */
ALWAYS void search(const Kept *kept, int64_t n, const float *price, float step, int64_t most, Kept *best, int two) {
    int all = most >= n - 1;
    most = all ? n - 1 : most;
    for (int64_t i = 0; i < n; i++) {
        int64_t farthest = i ? reach(&best[i - 1], &kept[i], step, most, all, two) : most;
        best[i] = kept[i];
        for (int64_t d = 1; d <= farthest; d++) {
            if (d <= i) offer_all(&best[i], &kept[i - d], price[d], two);
            if (d < n - i) offer_all(&best[i], &kept[i + d], price[d], two);
        }
    }
}

/* A map in memory, and one of its kind in the buffers: both of four bytes a voxel. */
static void load(const void *map, Lines at, void *row, int64_t stride) {
    const int32_t *from = (const int32_t *)map + at.from;
    for (int64_t i = 0; i < at.n; i++) {
        int32_t *to = (int32_t *)((char *)row + i * stride);
        if (at.lanes < LANES) memset(to, 0, LANES * sizeof *to);
        for (int64_t k = 0; k < at.lanes; k++) to[k] = from[i * at.step + k * at.apart];
    }
}

static void store(const void *row, int64_t stride, Lines at, void *map) {
    int32_t *to = (int32_t *)map + at.from;
    for (int64_t i = 0; i < at.n; i++) {
        const int32_t *from = (const int32_t *)((const char *)row + i * stride);
        for (int64_t k = 0; k < at.lanes; k++) to[i * at.step + k * at.apart] = from[k];
    }
}

typedef struct {
    float *first, *second;
    int32_t *nearest, *next;
} Maps;

static void load_all(const Maps *maps, Lines at, Kept *kept, int two) {
    load(maps->first, at, kept->first, sizeof *kept);
    load(maps->nearest, at, kept->nearest, sizeof *kept);
    if (two) load(maps->second, at, kept->second, sizeof *kept);
    if (two) load(maps->next, at, kept->next, sizeof *kept);
}

static void store_all(const Kept *kept, Lines at, const Maps *maps, int two) {
    store(kept->first, sizeof *kept, at, maps->first);
    store(kept->nearest, sizeof *kept, at, maps->nearest);
    if (two) store(kept->second, sizeof *kept, at, maps->second);
    if (two) store(kept->next, sizeof *kept, at, maps->next);
}

ALWAYS int walk(const int32_t *numbers, const int64_t *sizes, const double *spacing, int64_t axes, int64_t voxels,
                double far, Maps maps, int two) {
    int64_t longest = 1, inner = voxels;
    for (int a = 0; a < axes; a++) longest = sizes[a] > longest ? sizes[a] : longest;
    Kept *kept = malloc(longest * (2 * sizeof(Kept) + sizeof(Labels) + sizeof(float)));
    if (!kept) return NO_MEMORY;
    Kept *found = kept + longest;
    Labels *number = (Labels *)(found + longest);
    float *price = (float *)(number + longest);
    for (int a = 0; a < axes; a++) {
        inner /= sizes[a];
        int64_t n = sizes[a], outer = voxels / n / inner;
        int64_t most = far < n * spacing[a] ? (int64_t)(far / spacing[a]) + 1 : n - 1;
        for (int64_t i = 0; i < n; i++) price[i] = (float)(i * spacing[a] * (i * spacing[a]));
        for (int64_t b = 0; b < blocks(outer, inner); b++) {
            Lines at = block(b, outer, n, inner);
            if (a == 0) {
                load(numbers, at, number, sizeof(Labels));
                scan(number, n, (float)spacing[a], found, two);
            } else {
                load_all(&maps, at, kept, two);
                search(kept, n, price, (float)spacing[a], most, found, two);
            }
            store_all(found, at, &maps, two);
        }
    }
    free(kept);
    return DONE;
}

/* Write the number of each voxel's nearest object, 0 without any, and its squared distance. */
int lo_nearest_object(const int32_t *numbers, const int64_t *sizes, const double *spacing, int64_t axes,
                      int64_t voxels, float *first, int32_t *nearest) {
    return walk(numbers, sizes, spacing, axes, voxels, INFINITY, (Maps){first, 0, nearest, 0}, 0);
}

/* The same, and for the nearest object of another number; infinite where there is none, and a number
   above `far` where it lies farther than that. */
int lo_two_nearest_objects(const int32_t *numbers, const int64_t *sizes, const double *spacing, int64_t axes,
                           int64_t voxels, double far, float *first, int32_t *nearest, float *second, int32_t *next) {
    return walk(numbers, sizes, spacing, axes, voxels, far, (Maps){first, second, nearest, next}, 1);
}
