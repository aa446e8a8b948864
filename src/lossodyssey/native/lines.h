/* Lines of voxels along one axis of a map, side by side in a buffer, that are worked on together. */
#include <stdint.h>

#define LANES 16
#define EACH_LANE _Pragma("omp simd") for (int k = 0; k < LANES; k++)

typedef float Row[LANES];
typedef int32_t Labels[LANES];

/* Lines side by side: n voxels, `step` apart, of `lanes` lines, `apart` from each other. */
typedef struct {
    int64_t from, n, step, lanes, apart;
} Lines;

/* The lines along one axis of a map of (outer, n, inner) voxels, a block of them at a time. */
static inline Lines block(int64_t number, int64_t outer, int64_t n, int64_t inner) {
    int64_t across = inner == 1 ? outer : inner, apart = inner == 1 ? n : 1;
    int64_t blocks = (across + LANES - 1) / LANES, first = number % blocks * LANES;
    int64_t lanes = across - first < LANES ? across - first : LANES;
    return (Lines){number / blocks * n * inner + first * apart, n, inner, lanes, apart};
}

static inline int64_t blocks(int64_t outer, int64_t inner) {
    int64_t across = inner == 1 ? outer : inner;
    return outer * inner / across * ((across + LANES - 1) / LANES);
}
