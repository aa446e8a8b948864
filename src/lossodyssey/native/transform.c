/* The exact Euclidean distance transform of a label map, one axis after another (Felzenszwalb and Huttenlocher 2012,
   with labels instead of one mask).

   Along each axis a voxel takes the least of its squared distance so far and, over all voxels of its line, the squared
   step to a voxel of another label, or to one of its own label plus what that one had so far. Neighbouring lines lie
   side by side in a buffer, voxel by voxel, and are worked on together. From one voxel to the next a distance grows by
   at most one step, so only a few voxels around need to be looked at. Where they are many, because an object lies far away, the
   lower envelope of the parabolas is built, whose time does not depend on the distance. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lines.h"
#include "status.h"

#define MOST_STEPS 40 /* voxels looked at on each side, per voxel, from which on the envelope is faster */

static void read_labels(const uint8_t *labels, Lines at, Labels *label) {
    if (at.lanes < LANES) memset(label, 0, at.n * sizeof(Labels));
    labels += at.from;
    if (at.apart == 1)
        for (int64_t i = 0; i < at.n; i++)
            for (int64_t k = 0; k < at.lanes; k++) label[i][k] = labels[i * at.step + k];
    else
        for (int64_t k = 0; k < at.lanes; k++)
            for (int64_t i = 0; i < at.n; i++) label[i][k] = labels[k * at.apart + i];
}

static void read_squares(const float *squares, Lines at, Row *square) {
    if (at.lanes < LANES) memset(square, 0, at.n * sizeof(Row));
    squares += at.from;
    if (at.apart == 1)
        for (int64_t i = 0; i < at.n; i++) memcpy(square[i], squares + i * at.step, at.lanes * sizeof(float));
    else
        for (int64_t k = 0; k < at.lanes; k++)
            for (int64_t i = 0; i < at.n; i++) square[i][k] = squares[k * at.apart + i];
}

static void write(const Row *values, Lines at, float *out) {
    out += at.from;
    if (at.apart == 1)
        for (int64_t i = 0; i < at.n; i++) memcpy(out + i * at.step, values[i], at.lanes * sizeof(float));
    else
        for (int64_t k = 0; k < at.lanes; k++)
            for (int64_t i = 0; i < at.n; i++) out[k * at.apart + i] = values[i][k];
}

/* The first axis: squared distances to the nearest other label of the line, by one scan from each end. */
static void scan(const Labels *label, int64_t n, float step, Row *square) {
    EACH_LANE square[0][k] = label[0][k] ? INFINITY : 0;
    for (int64_t i = 1; i < n; i++)
        EACH_LANE {
            float steps = label[i][k] == label[i - 1][k] ? square[i - 1][k] + 1 : 1;
            square[i][k] = label[i][k] ? steps : 0;
        }
    for (int64_t i = n - 2; i >= 0; i--)
        EACH_LANE {
            float steps = label[i][k] == label[i + 1][k] ? square[i + 1][k] + 1 : 1;
            square[i][k] = steps < square[i][k] ? steps : square[i][k];
        }
    for (int64_t i = 0; i < n; i++) EACH_LANE square[i][k] = square[i][k] * step * (square[i][k] * step);
}

/* How many voxels away the nearest one can be, for all lines whose distances are finite. */
static int64_t reach(const Row before, const Row square, float step) {
    float farthest = 0;
    _Pragma("omp simd reduction(max : farthest)") for (int k = 0; k < LANES; k++) {
        float bound = sqrtf(before[k]) + step, own = sqrtf(square[k]);
        bound = own < bound ? own : bound;
        bound = bound < INFINITY ? bound : 0;
        farthest = bound > farthest ? bound : farthest;
    }
    return (int64_t)(farthest / step * 1.00001f);
}

static inline void relax(Row best, const Row square, const int32_t *here, const int32_t *there, float cost) {
    EACH_LANE {
        float through = (here[k] == there[k] ? square[k] : 0) + cost;
        best[k] = through < best[k] ? through : best[k];
    }
}

/* Another axis, step by step; returns 0, with the work half done, where that takes longer than the envelope. */
static int search(const Labels *label, const Row *square, int64_t n, const float *cost, float step, Row *best) {
    int64_t left = MOST_STEPS * n;
    for (int64_t i = 0; i < n; i++) {
        int64_t farthest = i ? reach(best[i - 1], square[i], step) : n - 1;
        if (n > MOST_STEPS && (left -= farthest) < 0) return 0;
        memcpy(best[i], square[i], sizeof(Row));
        for (int64_t d = 1; d <= farthest; d++) {
            if (d <= i) relax(best[i], square[i - d], label[i], label[i - d], cost[d]);
            if (d < n - i) relax(best[i], square[i + d], label[i], label[i + d], cost[d]);
        }
    }
    return 1;
}

/* A parabola of the envelope: its lowest point, and where it begins to lie below the one before. */
typedef struct {
    int64_t at;
    float low;
    double from;
} Parabola;

/* Add a parabola to the right of all others, and return how many are left of them. */
static int64_t push(Parabola *stack, int64_t count, int64_t at, float low, double step) {
    double from = -INFINITY;
    for (; count; count--) {
        Parabola last = stack[count - 1];
        from = (((double)low - last.low) / (step * step) + (double)(at * at - last.at * last.at)) / (2 * (at - last.at));
        if (from > last.from) break;
        from = -INFINITY;
    }
    stack[count] = (Parabola){at, low, from};
    return count + 1;
}

/* Another axis of one line, by the envelope of every run of one label: its voxels, and the two that end it. */
static void envelope(const Labels *label, const Row *square, int64_t n, const float *cost, double step, int64_t lane,
                     Parabola *stack, Row *best) {
    for (int64_t first = 0, end; first < n; first = end) {
        int32_t own = label[first][lane];
        for (end = first + 1; end < n && label[end][lane] == own;) end++;
        int64_t count = first && own ? push(stack, 0, first - 1, 0, step) : 0;
        for (int64_t j = first; j < end && own; j++)
            if (square[j][lane] < INFINITY) count = push(stack, count, j, square[j][lane], step);
        if (end < n && own) count = push(stack, count, end, 0, step);
        for (int64_t i = first, k = 0; i < end; i++) {
            while (k + 1 < count && stack[k + 1].from <= i) k++;
            float found = count ? stack[k].low + cost[stack[k].at < i ? i - stack[k].at : stack[k].at - i] : INFINITY;
            best[i][lane] = own ? found : 0;
        }
    }
}

static void take_root(Row *square, int64_t n) {
    for (int64_t i = 0; i < n; i++) EACH_LANE square[i][k] = square[i][k] < INFINITY ? sqrtf(square[i][k]) : 0;
}

/* Write to out the distance of every voxel to the nearest one of another label; 0 at label 0 and where there is no
   other. */
int lo_nearest_other(const uint8_t *labels, const int64_t *sizes, const double *spacing, int64_t axes, int64_t voxels,
                     float *out) {
    int64_t longest = 1, inner = voxels;
    for (int a = 0; a < axes; a++) longest = sizes[a] > longest ? sizes[a] : longest;
    Labels *label = malloc((longest + 2) * (sizeof(Labels) + 2 * sizeof(Row) + sizeof(Parabola) + sizeof(float)));
    if (!label) return NO_MEMORY;
    Row *square = (Row *)(label + longest), *found = square + longest;
    Parabola *stack = (Parabola *)(found + longest);
    float *cost = (float *)(stack + longest + 2);
    for (int a = 0; a < axes; a++) {
        inner /= sizes[a];
        int64_t n = sizes[a], outer = voxels / n / inner;
        for (int64_t i = 0; i < n; i++) cost[i] = (float)(i * spacing[a] * (i * spacing[a]));
        for (int64_t b = 0; b < blocks(outer, inner); b++) {
            Lines at = block(b, outer, n, inner);
            read_labels(labels, at, label);
            if (a == 0) {
                scan(label, n, (float)spacing[a], found);
            } else {
                read_squares(out, at, square);
                if (!search(label, square, n, cost, (float)spacing[a], found))
                    for (int64_t k = 0; k < at.lanes; k++) envelope(label, square, n, cost, spacing[a], k, stack, found);
            }
            if (a == axes - 1) take_root(found, n);
            write(found, at, out);
        }
    }
    free(label);
    return DONE;
}
