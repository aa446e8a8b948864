/* The order of float32 numbers, by their bits and without comparing two of them.

   Numbers that are not negative order like their bits: the key of an error is those bits turned round, so that the
   largest error comes first. The upper 12 bits of a key name its bucket; the lower 19 are sorted within the bucket. */
#include <stdint.h>
#include <string.h>

#define LOW_BITS 19
#define BUCKETS 8192 /* the upper half holds errors with a sign: voxels that do not count, or are settled */
#define NONE (-0.0f)

/* Rows of n numbers, `stride` apart, and their truth without gaps. */
#define EACH_NUMBER \
    for (int64_t row = 0, at = 0; row < rows; row++, at += stride, truth += n) for (int64_t i = 0; i < n; i++)

static inline uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline uint32_t falling_key(float error) { return bits_of(error) ^ 0x7fffffff; }

/* Add the errors of each bucket to counts (2, BUCKETS), those of false and those of true voxels apart. Negative errors
   become NONE. */
void lo_count_errors(float *errors, int64_t rows, int64_t stride, int64_t n, const uint8_t *truth, int64_t *counts) {
    EACH_NUMBER {
        uint32_t key = falling_key(errors[at + i]);
        counts[(truth[i] ? BUCKETS : 0) + (key >> LOW_BITS)]++;
        if (key >> 31) errors[at + i] = NONE;
    }
}

/* Write the entries of the buckets from `first` on, bucket by bucket, in the order of their places. An entry is the
   key in the upper half, then place and truth. next[b] is where bucket first + b begins, and then where it ends;
   whatever is in no bucket is written to the next free place behind them all. */
static void collect(const float *errors, int64_t rows, int64_t stride, int64_t n, const uint8_t *truth, uint32_t first,
                    uint32_t buckets, int64_t *next, uint64_t *entries) {
    EACH_NUMBER {
        uint32_t key = falling_key(errors[at + i]), bucket = (key >> LOW_BITS) - first;
        uint32_t b = bucket < buckets ? bucket : buckets;
        entries[next[b]] = (uint64_t)key << 32 | (uint64_t)(at + i) << 1 | (truth[i] != 0);
        next[b] += b < buckets;
    }
}

static void sort_few(uint64_t *entries, int64_t n) {
    for (int64_t i = 1; i < n; i++) {
        uint64_t entry = entries[i];
        int64_t k = i;
        for (; k > 0 && entries[k - 1] > entry; k--) entries[k] = entries[k - 1];
        entries[k] = entry;
    }
}

/* Sort by `width` bits from bit `shift` on; equal entries stay in their order. */
static void sort_digit(const uint64_t *from, uint64_t *to, int64_t n, int shift, int width) {
    uint32_t next[1 << 10] = {0}, mask = (1u << width) - 1, begin = 0;
    for (int64_t i = 0; i < n; i++) next[from[i] >> shift & mask]++;
    for (uint32_t digit = 0; digit <= mask; digit++) {
        uint32_t size = next[digit];
        next[digit] = begin;
        begin += size;
    }
    for (int64_t i = 0; i < n; i++) to[next[from[i] >> shift & mask]++] = from[i];
}

static void sort_bucket(uint64_t *entries, uint64_t *spare, int64_t n) {
    if (n < 128) {
        sort_few(entries, n);
        return;
    }
    sort_digit(entries, spare, n, 32, 10);
    sort_digit(spare, entries, n, 42, LOW_BITS - 10);
}

/* The increment of the Jaccard loss when one more voxel turns wrong, with `hits` true voxels not yet wrong. */
static inline float increment(int truth, float hits, float all) {
    if (truth) return all / (all * all);
    return all > 0 ? hits / ((1 + all) * all) : 1;
}

/* Write the increments, negated, over the errors of the buckets first to end, given the counts of all buckets. There
   is room for their entries and one more, and for those of the largest bucket in `spare`. */
void lo_settle_errors(float *errors, int64_t rows, int64_t stride, int64_t n, const uint8_t *truth,
                      const int64_t *counts, int64_t first, int64_t end, uint64_t *entries, uint64_t *spare) {
    const int64_t *misses = counts, *truths = counts + BUCKETS;
    int64_t next[BUCKETS / 2 + 1], before = 0, hits = 0, total = 0, begin = 0;
    for (int64_t b = 0; b < BUCKETS / 2; b++) {
        before += b < first ? misses[b] : 0; /* false voxels that are wrong already */
        hits += b < first ? 0 : truths[b];   /* true voxels that are not wrong yet */
        total += truths[b];
    }
    for (int64_t b = first; b < end; b++) {
        next[b - first] = begin;
        begin += misses[b] + truths[b];
    }
    next[end - first] = begin;
    collect(errors, rows, stride, n, truth, (uint32_t)first, (uint32_t)(end - first), next, entries);
    for (int64_t b = 0; b < end - first; b++) {
        int64_t size = misses[first + b] + truths[first + b];
        uint64_t *bucket = entries + next[b] - size;
        sort_bucket(bucket, spare, size);
        for (int64_t i = 0; i < size; i++) {
            int is_true = bucket[i] & 1;
            errors[(uint32_t)bucket[i] >> 1] = -increment(is_true, (float)hits, (float)(total + before));
            hits -= is_true;
            before += !is_true;
        }
    }
}

/* Rising keys of all floats; what is no number comes last. */
static inline uint32_t rising_key(float x) {
    uint32_t bits = bits_of(x);
    uint32_t key = bits ^ ((uint32_t)((int32_t)bits >> 31) | 0x80000000);
    return x != x ? 0xffffffff : key;
}

#define DIGITS 2048
#define GROUP 64

/* Add up how often each digit of 11 bits from `shift` on follows the `known` ones. Neighbours are counted apart: alike as
   they are, they would wait for each other's count. */
static void count_digits(const float *x, int64_t n, int shift, uint32_t mask, uint32_t known, int64_t *counts) {
    int32_t apart[4][DIGITS + 1] = {{0}}; /* the last counts all others */
    for (int64_t from = 0; from < n; from += GROUP) {
        uint32_t digits[GROUP], found = 0;
        int size = n - from < GROUP ? (int)(n - from) : GROUP;
        _Pragma("omp simd reduction(| : found)") for (int i = 0; i < size; i++) {
            uint32_t key = rising_key(x[from + i]), is_known = (key & mask) == known ? 1u : 0u;
            digits[i] = is_known ? key >> shift & (DIGITS - 1) : DIGITS;
            found |= is_known;
        }
        for (int i = 0; i < size && found; i++) apart[i & 3][digits[i]]++;
    }
    for (int digit = 0; digit < DIGITS; digit++)
        counts[digit] = (int64_t)apart[0][digit] + apart[1][digit] + apart[2][digit] + apart[3][digit];
}

/* Write the k-th smallest of n numbers, k from 1, found by 11 bits after the other. */
void lo_smallest(const float *x, int64_t n, int64_t k, float *found) {
    const int shifts[] = {21, 10, 0};
    uint32_t known = 0, mask = 0;
    for (int step = 0; step < 3; step++) {
        int64_t counts[DIGITS];
        uint32_t digit = 0;
        count_digits(x, n, shifts[step], mask, known, counts);
        while (k > counts[digit]) k -= counts[digit++];
        known |= digit << shifts[step];
        mask |= 0x7ffu << shifts[step];
    }
    uint32_t bits = known >> 31 ? known & 0x7fffffff : ~known;
    memcpy(found, &bits, sizeof bits);
}

/* Write on which side of the level a number lies, 1 below it, 2 for its equals, else 0; and the sum of what is missing
   to the level, the number of those below and of its equals. */
void lo_sides(const float *x, int64_t n, double level, uint8_t *side, double *sums) {
    float at = (float)level;
    for (int64_t from = 0; from < n; from += 4096) {
        int64_t end = from + 4096 < n ? from + 4096 : n;
        float missing = 0;
        int32_t below = 0, equal = 0;
        _Pragma("omp simd reduction(+ : missing, below, equal)") for (int64_t i = from; i < end; i++) {
            int is_below = x[i] < at, is_equal = x[i] == at;
            side[i] = (uint8_t)(is_below + 2 * is_equal);
            missing += at - x[i] > 0 ? at - x[i] : 0.0f;
            below += is_below;
            equal += is_equal;
        }
        sums[0] += missing, sums[1] += below, sums[2] += equal;
    }
}

/* Write a number for each side. */
void lo_by_side(const uint8_t *side, int64_t n, double below, double equal, float *found) {
    float of_below = (float)below, of_equal = (float)equal;
    _Pragma("omp simd") for (int64_t i = 0; i < n; i++)
        found[i] = (side[i] & 1 ? of_below : 0.0f) + (side[i] & 2 ? of_equal : 0.0f);
}
