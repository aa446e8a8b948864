/* Parts of many voxels, worked on at the same time where the compiler knows OpenMP, whose threads PyTorch has begun. */
#include <stdint.h>

#define GRAIN 256 /* voxels that stay together */

typedef void Work(const void *job, int64_t from, int64_t to, int part);

/* Work on the voxels in at most `threads` parts, numbered from 0. */
static inline void divide(Work *work, const void *job, int64_t voxels, int64_t threads) {
    int64_t each = ((voxels + threads - 1) / threads + GRAIN - 1) / GRAIN * GRAIN;
    int parts = (int)((voxels + each - 1) / each);
    _Pragma("omp parallel for num_threads(parts) if (parts > 1)") for (int k = 0; k < parts; k++) {
        int64_t from = k * each, to = from + each;
        work(job, from, to < voxels ? to : voxels, k);
    }
}
