/* Cross entropy that counts the less the smaller it is, -(1 - p)^gamma ln p, as a function of ln p <= 0. */
#include "functions.h"

#define EACH _Pragma("omp simd") for (int64_t i = 0; i < n; i++)

/* m^exponent for m in 0..1; 0 counts as 1e-38. */
static inline float power(float m, float exponent) { return exponential(exponent * logarithm(m)); }

/* Write the n values. */
void lo_focal(const float *log_p, int64_t n, double gamma, float *values) {
    float exponent = (float)gamma;
    if (gamma == 2) EACH {
        float m = one_less_exponential(log_p[i]);
        values[i] = -m * m * log_p[i];
    }
    else EACH values[i] = -power(one_less_exponential(log_p[i]), exponent) * log_p[i];
}

/* Write their n derivatives times `upstream`. */
void lo_focal_gradient(const float *log_p, const float *upstream, int64_t n, double gamma, float *gradients) {
    float exponent = (float)gamma;
    if (gamma == 2) EACH {
        float m = one_less_exponential(log_p[i]);
        gradients[i] = upstream[i] * (m * (2 * (1 - m) * log_p[i] - m));
    }
    else EACH {
        float m = one_less_exponential(log_p[i]), below = power(m, exponent - 1);
        gradients[i] = upstream[i] * (below * (exponent * (1 - m) * log_p[i] - m));
    }
}
