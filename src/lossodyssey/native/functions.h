/* Functions of a number, to a few units in the last place, that compilers turn into vector instructions. */
#include <stdint.h>
#include <string.h>

/* e^x = power * (1 + rest) for x in -87 (and all below) to 88, where rest is accurate near 0; NaN stays NaN. */
static inline float split_exponential(float x, float *power) {
    x = x < -87.0f ? -87.0f : x;
    float k = x * 1.44269504f + 12582912.0f; /* rounds to a whole number in the low bits */
    int32_t bits;
    memcpy(&bits, &k, sizeof bits);
    k -= 12582912.0f;
    float f = x - k * 0.693145752f - k * 1.42860677e-6f;
    float y = 1.98756915e-4f * f + 1.39819994e-3f;
    y = y * f + 8.33345205e-3f;
    y = y * f + 4.16657962e-2f;
    y = y * f + 1.66666654e-1f;
    y = y * f + 0.5f;
    int32_t scale = (int32_t)((uint32_t)bits << 23) + 0x3f800000;
    memcpy(power, &scale, sizeof scale);
    return y * f * f + f;
}

static inline float exponential(float x) {
    float power, rest = split_exponential(x, &power);
    return (rest + 1.0f) * power;
}

/* 1 - e^x, accurate near 0. */
static inline float one_less_exponential(float x) {
    float power, rest = split_exponential(x, &power);
    return (1.0f - power) - power * rest;
}

/* ln x for normal x > 0, -88 for 0; NaN stays NaN. */
static inline float logarithm(float x) {
    int32_t bits, exponent;
    memcpy(&bits, &x, sizeof bits);
    exponent = (bits - 0x3f400000) >> 23;
    bits -= exponent * (1 << 23); /* the mantissa, in 0.75 to 1.5 */
    float m;
    memcpy(&m, &bits, sizeof m);
    float u = (m - 1.0f) / (m + 1.0f), v = u * u;
    float y = (((v / 9 + 1.0f / 7) * v + 1.0f / 5) * v + 1.0f / 3) * v + 1.0f;
    return x == x ? exponent * 0.693147181f + 2 * u * y : x;
}

/* ln(1 + y) for y >= 0, accurate near 0: the rounding of 1 + y is undone by the ratio (Kahan). */
static inline float logarithm_1p(float y) {
    float x = 1.0f + y, rounded = x - 1.0f;
    return rounded > 0 ? logarithm(x) * (y / rounded) : y;
}
