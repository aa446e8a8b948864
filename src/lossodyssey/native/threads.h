/* Parts of many voxels, worked on at the same time by the threads that PyTorch has begun. */
#pragma once
#include <stdint.h>

#include "status.h"

#define GRAIN 256 /* voxels that stay together */

typedef int Work(const void *job, int64_t from, int64_t to, int part);

/* GOMP_parallel of the OpenMP runtime in PyTorch: call a function with an argument in so many threads, and wait for
   them. Python sets it, so that compilers need not know OpenMP; where it is NULL one thread does all the work. The
   definition is weak because every file of the library has it, and they all mean the same. */
typedef void Parallel(void (*)(void *), void *, unsigned threads, unsigned flags);
__attribute__((weak)) Parallel *lo_parallel;

typedef struct {
    Work *work;
    const void *job;
    int64_t voxels, each;
    int parts, next, failed;
} Division;

/* Take the next part until none is left: a runtime may give fewer threads than were asked for. */
static void take_parts(void *shared) {
    Division *d = shared;
    int k;
    while ((k = __atomic_fetch_add(&d->next, 1, __ATOMIC_RELAXED)) < d->parts) {
        int64_t from = k * d->each, to = from + d->each;
        int status = d->work(d->job, from, to < d->voxels ? to : d->voxels, k);
        __atomic_fetch_or(&d->failed, status, __ATOMIC_RELAXED);
    }
}

/* Work on the voxels in at most `threads` parts, numbered from 0. */
static inline int divide(Work *work, const void *job, int64_t voxels, int64_t threads) {
    if (voxels <= 0) return DONE;
    int64_t each = ((voxels + threads - 1) / threads + GRAIN - 1) / GRAIN * GRAIN;
    Division d = {work, job, voxels, each, (int)((voxels + each - 1) / each), 0, DONE};
    if (lo_parallel && d.parts > 1) lo_parallel(take_parts, &d, (unsigned)d.parts, 0);
    else take_parts(&d);
    return d.failed;
}
