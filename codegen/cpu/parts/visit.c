/* Adds the keys first, first + step, ... below end to the block; a full block goes into acc. */
static inline __attribute__((always_inline)) void visit(struct block *block, int64_t first, int64_t end, int64_t step
                                                        MASK_PARAMETER) {
    while (first < end) {
        const int64_t left = (end - first + step - 1) / step;
        const int room = BLOCK_N - block->count;
        const int count = left < room ? (int)left : room;
        for (int i = 0; i < count; i += KEYS) {
            score_keys(block, block->count + i, count - 1 - i, first + i * step, step);
        }
        CHANGE_SCORES
        for (int i = 0; i < count; i++) {
            const element *value = block->value + (first + i * step) * block->value_stride;
            block->value_row[block->count + i] = VALUE_ROW;
        }
        block->count += count;
        if (block->count == BLOCK_N) {
            absorb(block);
        }
        first += count * step;
    }
}
