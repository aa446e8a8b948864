/* Which components merge where, as the voxels of an image are added in a given order.

   A component is numbered when its first voxel comes, so the lower number is the older one. Where a voxel joins
   several, the oldest lives on and each of the others ends there: one pair of its first voxel and the joining one. */
#include <stdint.h>

static inline int32_t root_of(int32_t *parent, int32_t number) {
    while (parent[number] != number) {
        parent[number] = parent[parent[number]];
        number = parent[number];
    }
    return number;
}

/* `order` holds places of n voxels in `number`, an image with a frame: -1 in every voxel, and in the frame -1 or the
   number 0 of the component `outside`, which is there from the start where `begun` is 1. A neighbour lies `steps`
   places away. There is room for n + 1 components in `parent` and `first`, and for n pairs, of positions in `order`;
   found[0] is the number of pairs. */
void lo_merge_components(const int32_t *order, int64_t n, const int32_t *steps, int64_t neighbours, int64_t begun,
                         int32_t *number, int32_t *parent, int32_t *first, int32_t *pairs, int64_t *found) {
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
            int32_t older = root < mine ? root : mine, younger = root < mine ? mine : root;
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
        number[place] = mine;
    }
    *found = ends;
}
