/* Numbers side by side in a register, and functions of them to a few units in the last place. */
#pragma once
#if defined(__AVX__)
#include <immintrin.h>
#endif
#include <stdint.h>
#include <string.h>

#define ALWAYS_INLINE static inline __attribute__((always_inline))

#if defined(__AVX512F__)
#define WIDTH 16
#elif defined(__AVX__)
#define WIDTH 8
#else
#define WIDTH 4
#endif

typedef float Vector __attribute__((vector_size(4 * WIDTH)));
typedef int32_t Whole __attribute__((vector_size(4 * WIDTH)));

ALWAYS_INLINE Vector every(float x) { return x - (Vector){0}; }

ALWAYS_INLINE Vector load(const float *from) {
    Vector x;
    memcpy(&x, from, sizeof x);
    return x;
}

/* The first numbers, fewer than a register holds, and 0 for the rest. */
ALWAYS_INLINE Vector load_some(const float *from, int count) {
    Vector x = {0};
    memcpy(&x, from, count * sizeof *from);
    return x;
}

ALWAYS_INLINE Whole load_whole(const int32_t *from) {
    Whole x;
    memcpy(&x, from, sizeof x);
    return x;
}

ALWAYS_INLINE void store(float *to, Vector x) { memcpy(to, &x, sizeof x); }

/* Truths, one of each lane: what compares two registers, and what chooses by it. Where there are registers for truths
   compilers do not always see it by themselves. */
#if defined(__AVX512F__)
typedef __mmask16 Mask;

ALWAYS_INLINE Mask equal(Whole x, int32_t y) { return _mm512_cmpeq_epi32_mask((__m512i)x, _mm512_set1_epi32(y)); }

ALWAYS_INLINE Mask below(Vector x, Vector y) { return _mm512_cmp_ps_mask((__m512)x, (__m512)y, _CMP_LT_OQ); }

/* Where it is true x, else 0; and where it is true x, else y. */
ALWAYS_INLINE Vector where(Mask is_true, Vector x) { return (Vector)_mm512_maskz_mov_ps(is_true, (__m512)x); }

ALWAYS_INLINE Vector pick(Mask is_true, Vector x, Vector y) {
    return (Vector)_mm512_mask_blend_ps(is_true, (__m512)y, (__m512)x);
}

/* The larger one, y where one of them is NaN. */
ALWAYS_INLINE Vector larger(Vector x, Vector y) { return (Vector)_mm512_max_ps((__m512)x, (__m512)y); }

/* Write past the caches, without reading the line first; and wait until other threads see it. */
ALWAYS_INLINE void store_beyond(float *to, Vector x) { _mm512_stream_ps(to, (__m512)x); }

ALWAYS_INLINE void end_beyond(void) { _mm_sfence(); }
#else
typedef Whole Mask;

ALWAYS_INLINE Mask equal(Whole x, int32_t y) { return x == y; }

ALWAYS_INLINE Mask below(Vector x, Vector y) { return x < y; }

ALWAYS_INLINE Vector where(Mask is_true, Vector x) { return (Vector)((Whole)x & is_true); }

ALWAYS_INLINE Vector pick(Mask is_true, Vector x, Vector y) {
    return (Vector)(((Whole)x & is_true) | ((Whole)y & ~is_true));
}

#if defined(__AVX__)
ALWAYS_INLINE Vector larger(Vector x, Vector y) { return (Vector)_mm256_max_ps((__m256)x, (__m256)y); }

ALWAYS_INLINE void store_beyond(float *to, Vector x) { _mm256_stream_ps(to, (__m256)x); }

ALWAYS_INLINE void end_beyond(void) { _mm_sfence(); }
#else
ALWAYS_INLINE Vector larger(Vector x, Vector y) { return pick(y < x, x, y); }

ALWAYS_INLINE void store_beyond(float *to, Vector x) { store(to, x); }

ALWAYS_INLINE void end_beyond(void) {}
#endif
#endif

/* 1 / sqrt(x) for normal x > 0: a guess by halving the exponent, then three steps of Newton's, without a division. */
ALWAYS_INLINE Vector inverse_root(Vector x) {
    Vector y = (Vector)(0x5f375a86 - ((Whole)x >> 1));
    for (int step = 0; step < 3; step++) y = y * (1.5f - 0.5f * x * y * y);
    return y;
}

ALWAYS_INLINE float total(Vector x) {
    float lanes[WIDTH], sum = 0;
    store(lanes, x);
    _Pragma("omp simd reduction(+ : sum)") for (int k = 0; k < WIDTH; k++) sum += lanes[k];
    return sum;
}

/* y 2^k for whole k: where no instruction does it, k lies in the low bits of `shifted`, and is added to the exponent. */
ALWAYS_INLINE Vector scaled(Vector y, Vector k, Vector shifted) {
#if defined(__AVX512F__)
    (void)shifted;
    return (Vector)_mm512_scalef_ps((__m512)y, (__m512)k);
#else
    (void)k;
    return (Vector)((Whole)y + ((Whole)shifted << 23));
#endif
}

/* e^x for x in -87 (and all below) to 88; NaN stays NaN. */
ALWAYS_INLINE Vector exponential(Vector x) {
    x = larger(every(-87), x);
    Vector shifted = x * 1.44269504f + 12582912.0f, k = shifted - 12582912.0f; /* rounds to a whole number */
    Vector f = x - k * 0.693145752f - k * 1.42860677e-6f;
    Vector y = f * 8.31243023e-3f + 4.18909863e-2f;
    y = y * f + 1.66671187e-1f;
    y = y * f + 4.99992251e-1f;
    y = y * (f * f) + f + 1.0f;
    return scaled(y, k, shifted);
}

/* ln x for normal x > 0, less than -87 for 0; NaN stays NaN. */
ALWAYS_INLINE Vector logarithm(Vector x) {
    Whole bits = (Whole)x, exponent = (bits - 0x3f3504f3) >> 23;
    Vector f = (Vector)(bits - (exponent << 23)) - 1.0f; /* the mantissa less 1, between the roots of 1/2 and of 2 */
    Vector square = f * f, whole = __builtin_convertvector(exponent, Vector);
    /* In pairs, which do not wait for each other. */
    Vector low = f * -2.50013471e-1f + 3.33339155e-1f + square * (f * -1.65771872e-1f + 1.99628830e-1f);
    Vector high = f * -1.42715186e-1f + 1.49164990e-1f + square * 8.70032236e-2f;
    Vector y = low + square * square * high;
    y = y * f * square - 0.5f * square + f + whole * 0.693147181f;
    return x - x + y;
}

/* ln(1 + y) for y >= 0, accurate near 0: what the rounding of 1 + y has lost is added again. */
ALWAYS_INLINE Vector logarithm_1p(Vector y) {
    Vector x = 1.0f + y;
    return logarithm(x) + where(below(x, every(4)), y - (x - 1.0f));
}
