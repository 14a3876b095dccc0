/* Takes in the `count` keys whose positions follow those of the block; a full block goes into acc. */
OPENING
    int32_t *position = block->position + block->count;
    for (int i = 0; i < count; i += KEYS) {
        const element *key[KEYS];
        for (int k = 0; k < KEYS; k++) {
            const int64_t ahead = position[lesser(i + k + AHEAD, count - 1)], at = position[lesser(i + k, count - 1)];
            for (int d = 0; d < HEAD_DIM; d += 64 / (int)sizeof(element)) {
                __builtin_prefetch(block->key + ahead * block->key_stride + d);
                __builtin_prefetch(block->value + ahead * block->value_stride + d);
            }
            key[k] = block->key + at * block->key_stride;
            block->value_row[block->count + i + k] = block->value + at * block->value_stride;
        }
        score_keys(block, block->count + i, key);
    }
    FILL_POSITIONS
    CHANGE_SCORES
    block->count += count;
    if (block->count == BLOCK_N) {
        absorb(block);
    }
}
