/* Functions of a number, to a few units in the last place, that compilers turn into vector instructions. */
#include <stdint.h>
#include <string.h>

/* e^x for x in -87 (and all below) to 88; NaN stays NaN. */
static inline float exponential(float x) {
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
    y = y * (f * f) + f + 1.0f;
    int32_t scaled; /* times 2^k, by adding k to the exponent */
    memcpy(&scaled, &y, sizeof scaled);
    scaled += (int32_t)((uint32_t)bits << 23);
    memcpy(&y, &scaled, sizeof y);
    return y;
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
    float y = (((v * (1.0f / 9) + 1.0f / 7) * v + 1.0f / 5) * v + 1.0f / 3) * v + 1.0f;
    return x == x ? exponent * 0.693147181f + 2 * u * y : x;
}

/* ln(1 + y) for y >= 0, accurate near 0: what the rounding of 1 + y has lost is added again. */
static inline float logarithm_1p(float y) {
    float x = 1.0f + y;
    return logarithm(x) + (x < 4.0f ? y - (x - 1.0f) : 0.0f);
}
