/* The terms of voxel losses, functions of ln p and of the error 1 - p of the true class: the primitives

       A(1 - p) (-ln p)^log   where ln p < level, else 0,   A(m) = m^error, or with a margin b > 0 ln(1 + b m). */
#include <math.h>

#define TINY 1e-8f /* powers below 1 are taken of no less: their derivatives are infinite at 0 */

typedef struct {
    double error, log, level, margin;
} Power;

static inline float least(float exponent) { return exponent < 1 ? TINY : 0.0f; }

ALWAYS_INLINE Vector at_least(Vector x, float floor) { return larger(every(floor), x); }

/* x^exponent for x > 0; 0 counts as 1e-38. */
ALWAYS_INLINE Vector raised(Vector x, float exponent) { return exponential(exponent * logarithm(x)); }

/* Whether it is the cross entropy, whose derivative by ln p is -1. */
static inline int is_plain(Power by) { return by.log == 1 && by.error == 0 && !(by.margin > 0) && !(by.level < INFINITY); }

/* Write x^(exponent - 1). */
static inline void one_power_less(const float *x, float exponent, int n, float *y) {
    float floor = least(exponent);
    if (exponent == 1) EACH_TILE store(y + i, every(1.0f));
    else if (exponent == 2) EACH_TILE store(y + i, load(x + i));
    else if (exponent == 0.5f) EACH_TILE store(y + i, inverse_root(at_least(load(x + i), TINY)));
    else EACH_TILE store(y + i, raised(at_least(load(x + i), floor), exponent - 1));
}

/* Write the values of n voxels, given m = 1 - p and u = ln p. */
static inline void power_values(Power by, const float *m, const float *u, int n, float *values) {
    float error = (float)by.error, log = (float)by.log, level = (float)by.level, margin = (float)by.margin;
    if (margin > 0) EACH_TILE store(values + i, logarithm_1p(margin * load(m + i)));
    else if (error == 0) EACH_TILE store(values + i, every(1.0f));
    else {
        one_power_less(m, error, n, values);
        EACH_TILE store(values + i, load(values + i) * at_least(load(m + i), least(error)));
    }
    if (log == 1) EACH_TILE store(values + i, load(values + i) * -load(u + i));
    else if (log != 0) EACH_TILE {
        Vector x = -load(u + i);
        store(values + i, load(values + i) * x * raised(at_least(x, TINY), log - 1));
    }
    if (by.level < INFINITY) EACH_TILE store(values + i, where(below(load(u + i), every(level)), load(values + i)));
}

/* Write A(m) and A'(m). */
static inline void of_error(Power by, const float *m, int n, float *a, float *slope) {
    float error = (float)by.error, margin = (float)by.margin, floor = least(error);
    if (margin > 0) EACH_TILE {
        store(a + i, logarithm_1p(margin * load(m + i)));
        store(slope + i, margin / (1.0f + margin * load(m + i)));
    }
    else if (error == 0) EACH_TILE store(a + i, every(1.0f)), store(slope + i, every(0));
    else {
        one_power_less(m, error, n, slope);
        EACH_TILE {
            Vector x = load(m + i), less = load(slope + i);
            store(a + i, at_least(x, floor) * less);
            store(slope + i, where(~below(x, every(floor)), error * less));
        }
    }
}

/* Write the derivatives by ln p: -p A'(m) B - A(m) B' with B = x^log and x = -ln p. */
static inline void power_derivatives(Power by, const float *m, const float *u, int n, float *derivatives) {
    float a[BLOCK], slope[BLOCK], log = (float)by.log, level = (float)by.level;
    of_error(by, m, n, a, slope);
    EACH_TILE {
        Vector p_slope = (1.0f - load(m + i)) * load(slope + i), x = -load(u + i), found;
        if (log == 0) found = -p_slope;
        else if (log == 1) found = -p_slope * x - load(a + i);
        else {
            Vector factor = pick(below(x, every(TINY)), every(1.0f), every(log));
            found = (-p_slope * x - load(a + i) * factor) * raised(at_least(x, TINY), log - 1);
        }
        store(derivatives + i, by.level < INFINITY ? where(below(-x, every(level)), found) : found);
    }
}
