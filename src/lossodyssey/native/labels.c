/* The check of labels, in one pass at the speed of memory. */
#include "threads.h"

typedef struct {
    const void *labels;
    int64_t kind, ignores, ignored, *largest;
} Check;

/* As unsigned numbers, negative labels are larger than all others. */
#define LARGEST(type) \
    do { \
        const type *label = c->labels; \
        _Pragma("omp simd reduction(max : largest)") for (int64_t i = begin; i < end; i++) { \
            uint64_t found = c->ignores && label[i] == c->ignored ? 0 : (uint64_t)(int64_t)label[i]; \
            largest = found > largest ? found : largest; \
        } \
    } while (0)

static int check(const void *job, int64_t begin, int64_t end, int part) {
    const Check *c = job;
    uint64_t largest = 0;
    if (c->kind == 8) LARGEST(int64_t);
    else if (c->kind == 4) LARGEST(int32_t);
    else if (c->kind == 2) LARGEST(int16_t);
    else if (c->kind == 1) LARGEST(uint8_t);
    else LARGEST(int8_t);
    c->largest[part] = largest > INT64_MAX ? INT64_MAX : (int64_t)largest;
    return DONE;
}

/* Write the largest label of the part of each thread; it is the largest number of all where one is negative. `kind` and
   what is ignored are those of lo_softmax. */
int lo_largest_label(const void *labels, int64_t kind, int64_t n, int64_t ignores, int64_t ignored, int64_t *largest,
                     int64_t threads) {
    Check job = {labels, kind, ignores, ignored, largest};
    return divide(check, &job, n, threads);
}
