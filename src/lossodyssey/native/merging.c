/* Which components merge where, as the voxels of an image are added in a given order.

   Where a voxel joins several components, the oldest lives on and each of the others ends there: one pair of its
   oldest voxel and the joining one. A voxel's age is its place in the order, or a number of its own. Which components
   meet, and in which order, does not depend on the ages: the pairs of two runs with other ages belong together. */
#include <stdint.h>

static inline int32_t root_of(int32_t *parent, int32_t number) {
    while (parent[number] != number) {
        parent[number] = parent[parent[number]];
        number = parent[number];
    }
    return number;
}

/* The lower, the older; the outside comes before all. */
static inline int64_t age_of(const int32_t *age, int32_t position) {
    return age && position >= 0 ? age[position] : position;
}

/* `order` holds places of n voxels in `number`, an image with a frame: -1 in every voxel, and in the frame -1 or the
   number 0 of the component `outside`, which is there from the start where `begun` is 1. A neighbour lies `steps`
   places away. `age` holds the voxels' ages in their order, or is NULL. There is room for n + 1 components in `parent`
   and `first`, its oldest voxel, and for n pairs, of positions in `order`; found[0] is the number of pairs. */
void lo_merge_components(const int32_t *order, int64_t n, const int32_t *steps, int64_t neighbours, int64_t begun,
                         const int32_t *age, int32_t *number, int32_t *parent, int32_t *first, int32_t *pairs, int64_t *found) {
    int32_t components = (int32_t)begun;
    int64_t ends = 0;
    if (begun) parent[0] = 0, first[0] = -1;
    for (int32_t i = 0; i < n; i++) {
        int32_t place = order[i], mine = -1, last = -1;
        for (int64_t k = 0; k < neighbours; k++) {
            int32_t other = number[place + steps[k]];
            if (other < 0 || other == last) continue;
            last = other;
            int32_t root = root_of(parent, other);
            if (root == mine) continue;
            if (mine < 0) {
                mine = root;
                continue;
            }
            int first_is_older = age_of(age, first[mine]) < age_of(age, first[root]);
            int32_t older = first_is_older ? mine : root, younger = first_is_older ? root : mine;
            parent[younger] = older;
            pairs[2 * ends] = first[younger];
            pairs[2 * ends + 1] = i;
            ends++;
            mine = older;
        }
        if (mine < 0) {
            mine = components++;
            parent[mine] = mine;
            first[mine] = i;
        }
        if (age_of(age, i) < age_of(age, first[mine])) first[mine] = i;
        number[place] = mine;
    }
    *found = ends;
}
