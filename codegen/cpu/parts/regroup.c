/* Hands the units of the block to regroup_unit; all are whole but for the last of a run. */
static void regroup(struct block *block) {
    int at = 0;
    while (at < block->count) {
        const int64_t start = block->position[at] / UNIT * UNIT;
        int count = 1;
        while (at + count < block->count && block->position[at + count] / UNIT * UNIT == start) {
            count++;
        }
        regroup_unit(block, at, count, start);
        at += count;
    }
}
