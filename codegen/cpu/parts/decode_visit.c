/* Adds those of the keys first, first + step, ... below end that belong to this split; a full block goes into acc. */
static inline __attribute__((always_inline)) void visit(struct block *block, int64_t first, int64_t end, int64_t step
                                                        MASK_PARAMETER) {
    const int64_t keys = first < end ? (end - first + step - 1) / step : 0;
    int64_t at = greater(block->from - block->seen, 0);
    const int64_t stop = lesser(block->to - block->seen, keys);
    block->seen += keys;
    block->ahead = BLOCK_N * step * block->value_stride;
    first += at * step;
    while (at < stop) {
        const int count = (int)lesser(stop - at, BLOCK_N - block->count);
        for (int i = 0; i < count; i += KEYS) {
            const element *key[KEYS];
            for (int k = 0; k < KEYS; k++) {
                const int64_t position = first + lesser(i + k, count - 1) * step;
                key[k] = block->key + position * block->key_stride;
                block->value_row[block->count + i + k] = block->value + position * block->value_stride;
                for (int d = 0; d < HEAD_DIM; d += 64 / (int)sizeof(element)) {
                    __builtin_prefetch(key[k] + BLOCK_N * step * block->key_stride + d, 0, 2);
                }
            }
            score_keys(block, block->count + i, key);
        }
        CHANGE_SCORES
        block->count += count;
        if (block->count == BLOCK_N) {
            absorb(block);
        }
        at += count;
        first += count * step;
    }
}
