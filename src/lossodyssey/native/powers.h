/* The terms of voxel losses, functions of ln p and of the error 1 - p of the true class: the primitives

       A(1 - p) (-ln p)^log   where ln p < level, else 0,   A(m) = m^error, or with a margin b > 0 ln(1 + b m). */
#include <math.h>

#define TINY 1e-8f /* powers below 1 are taken of no less: their derivatives are infinite at 0 */

typedef struct {
    double error, log, level, margin;
} Power;

static inline float least(float exponent) { return exponent < 1 ? TINY : 0.0f; }

static inline float at_least(float x, float floor) { return x < floor ? floor : x; }

/* x^exponent for x > 0; 0 counts as 1e-38. */
static inline float raised(float x, float exponent) { return exponential(exponent * logarithm(x)); }

/* Whether a derivative of the primitive depends on ln p itself, which costs a logarithm. */
static inline int needs_log(Power by) {
    int constant = by.log == 0 || (by.log == 1 && by.error == 0 && !(by.margin > 0));
    return !constant || by.level < INFINITY;
}

/* Write x^(exponent - 1). */
static inline void one_power_less(const float *x, float exponent, int n, float *y) {
    float floor = least(exponent);
    if (exponent == 1) EACH_VOXEL y[i] = 1;
    else if (exponent == 2) EACH_VOXEL y[i] = x[i];
    else if (exponent == 0.5f) EACH_VOXEL y[i] = 1 / sqrtf(at_least(x[i], TINY));
    else EACH_VOXEL y[i] = raised(at_least(x[i], floor), exponent - 1);
}

/* Write the values of n voxels, given m = 1 - p and u = ln p. */
static inline void power_values(Power by, const float *m, const float *u, int n, float *values) {
    float error = (float)by.error, log = (float)by.log, level = (float)by.level, margin = (float)by.margin;
    float floor = least(error);
    if (margin > 0) EACH_VOXEL values[i] = logarithm_1p(margin * m[i]);
    else if (error == 0) EACH_VOXEL values[i] = 1;
    else if (error == 1) EACH_VOXEL values[i] = m[i];
    else if (error == 2) EACH_VOXEL values[i] = m[i] * m[i];
    else if (error == 0.5f) EACH_VOXEL values[i] = sqrtf(at_least(m[i], TINY));
    else EACH_VOXEL values[i] = raised(at_least(m[i], floor), error);
    if (log == 1) EACH_VOXEL values[i] *= -u[i];
    else if (log != 0) EACH_VOXEL values[i] *= -u[i] * raised(at_least(-u[i], TINY), log - 1);
    if (by.level < INFINITY) EACH_VOXEL values[i] = u[i] < level ? values[i] : 0.0f;
}

/* Write A(m) and A'(m). */
static inline void of_error(Power by, const float *m, int n, float *a, float *slope) {
    float error = (float)by.error, margin = (float)by.margin, floor = least(error);
    if (margin > 0) EACH_VOXEL a[i] = logarithm_1p(margin * m[i]), slope[i] = margin / (1 + margin * m[i]);
    else if (error == 0) EACH_VOXEL a[i] = 1, slope[i] = 0;
    else {
        one_power_less(m, error, n, slope);
        EACH_VOXEL {
            a[i] = at_least(m[i], floor) * slope[i];
            slope[i] = m[i] < floor ? 0.0f : error * slope[i];
        }
    }
}

/* Write the derivatives by ln p: -p A'(m) B - A(m) B' with B = x^log and x = -ln p. */
static inline void power_derivatives(Power by, const float *m, const float *u, int n, float *derivatives) {
    float a[BLOCK], slope[BLOCK], log = (float)by.log, level = (float)by.level;
    of_error(by, m, n, a, slope);
    if (log == 0) EACH_VOXEL derivatives[i] = (m[i] - 1) * slope[i];
    else if (log == 1) EACH_VOXEL derivatives[i] = (1 - m[i]) * slope[i] * u[i] - a[i];
    else EACH_VOXEL {
        float x = -u[i], less = raised(at_least(x, TINY), log - 1);
        derivatives[i] = ((m[i] - 1) * slope[i] * x - a[i] * (x < TINY ? 1.0f : log)) * less;
    }
    if (by.level < INFINITY) EACH_VOXEL derivatives[i] = u[i] < level ? derivatives[i] : 0.0f;
}
