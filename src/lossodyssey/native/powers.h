/* The terms of voxel losses, functions of ln p and of the error 1 - p of the true class: the primitives

       A(1 - p) (-ln p)^log   where ln p < level, else 0,   A(m) = m^error, or with a margin b > 0 ln(1 + b m). */
#include <math.h>

#define TINY 1e-8f /* powers below 1 are taken of no less: their derivatives are infinite at 0 */

typedef struct {
    double error, log, level, margin;
} Power;

/* The forms of A, and of the power of -ln p, that are worked out in loops of their own. */
enum { CONSTANT, LINEAR, SQUARE, ROOT, OTHER, MARGIN };

static inline int form_of(double exponent) {
    return exponent == 0 ? CONSTANT : exponent == 1 ? LINEAR : exponent == 2 ? SQUARE : exponent == 0.5 ? ROOT : OTHER;
}

static inline int form_of_error(Power by) { return by.margin > 0 ? MARGIN : form_of(by.error); }

static inline int form_of_log(Power by) { return by.log == 0 || by.log == 1 ? form_of(by.log) : OTHER; }

/* Whether it is the cross entropy, whose derivative by ln p is -1. */
static inline int is_plain(Power by) {
    return form_of_error(by) == CONSTANT && form_of_log(by) == LINEAR && !(by.level < INFINITY);
}

ALWAYS_INLINE Vector at_least(Vector x, float floor) { return larger(every(floor), x); }

/* x^exponent for x > 0; 0 counts as 1e-38. */
ALWAYS_INLINE Vector raised(Vector x, float exponent) { return exponential(exponent * logarithm(x)); }

typedef struct {
    Vector a, slope;
} OfError;

/* A(m) and A'(m). */
ALWAYS_INLINE OfError of_error(int form, Power by, Vector m) {
    float error = (float)by.error, margin = (float)by.margin, floor = error < 1 ? TINY : 0.0f;
    if (form == CONSTANT) return (OfError){every(1), every(0)};
    if (form == LINEAR) return (OfError){m, every(1)};
    if (form == SQUARE) return (OfError){m * m, 2.0f * m};
    if (form == MARGIN) return (OfError){logarithm_1p(margin * m), margin / (1.0f + margin * m)};
    Vector x = at_least(m, floor), less = form == ROOT ? inverse_root(x) : raised(x, error - 1);
    return (OfError){x * less, where(~below(m, every(floor)), error * less)};
}

ALWAYS_INLINE Vector value_of(int error, int log, Power by, Vector m, Vector u) {
    Vector a = of_error(error, by, m).a;
    if (log == OTHER) a *= raised(at_least(-u, TINY), (float)by.log - 1);
    return log == CONSTANT ? a : a * -u;
}

/* The derivative by ln p: -p A'(m) B - A(m) B' with B = x^log and x = -ln p. */
ALWAYS_INLINE Vector derivative_of(int error, int log, Power by, Vector m, Vector u) {
    OfError at = of_error(error, by, m);
    Vector p_slope = (1.0f - m) * at.slope;
    if (log == CONSTANT) return -p_slope;
    if (log == LINEAR) return p_slope * u - at.a;
    Vector factor = pick(below(-u, every(TINY)), every(1), every((float)by.log));
    return (p_slope * u - at.a * factor) * raised(at_least(-u, TINY), (float)by.log - 1);
}

#define WITH_LOG(function, error) \
    do { \
        if (log == CONSTANT) EACH_TILE store(to + i, function(error, CONSTANT, by, load(m + i), load(u + i))); \
        else if (log == LINEAR) EACH_TILE store(to + i, function(error, LINEAR, by, load(m + i), load(u + i))); \
        else EACH_TILE store(to + i, function(error, OTHER, by, load(m + i), load(u + i))); \
    } while (0)

/* Write one of the functions above, in a loop that knows the forms. */
#define WRITE(function) \
    do { \
        int error = form_of_error(by), log = form_of_log(by); \
        if (error == CONSTANT) WITH_LOG(function, CONSTANT); \
        else if (error == LINEAR) WITH_LOG(function, LINEAR); \
        else if (error == SQUARE) WITH_LOG(function, SQUARE); \
        else if (error == ROOT) WITH_LOG(function, ROOT); \
        else if (error == OTHER) WITH_LOG(function, OTHER); \
        else WITH_LOG(function, MARGIN); \
        Vector level = every((float)by.level); \
        if (by.level < INFINITY) EACH_TILE store(to + i, where(below(load(u + i), level), load(to + i))); \
    } while (0)

/* Write the values of n voxels, given m = 1 - p and u = ln p; and the derivatives by ln p. */
static inline void power_values(Power by, const float *m, const float *u, int n, float *to) { WRITE(value_of); }

static inline void power_derivatives(Power by, const float *m, const float *u, int n, float *to) {
    WRITE(derivative_of);
}
