/* Adds those of the keys first to end - 1 to the block that are wanted. */
OPENING
    const int64_t keys = greater(end - first, 0);
    BEGIN_RESTS
    WHOLE_UNITS
    BEGIN_RUN
    while (at < STOP) {
        const int room = BLOCK_N - block->count;
        int count = 0;
        for (; at < STOP && count < room; at++) {
            const int64_t kv = first + at;
            block->position[block->count + count] = (int32_t)kv;
            COUNT_KEY
        }
        take(block, count MASK_ARGUMENT);
    }
}
