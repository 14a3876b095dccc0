/* Takes in the `count` keys whose positions follow those of the block; a full block goes into acc. */
OPENING
    for (int i = 0; i < count; i += KEYS) {
        score_keys(block, block->count + i, count - 1 - i);
    }
    CHANGE_SCORES
    for (int i = 0; i < count; i++) {
        const element *value = block->value + block->position[block->count + i] * block->value_stride;
        block->value_row[block->count + i] = VALUE_ROW;
    }
    block->count += count;
    if (block->count == BLOCK_N) {
        absorb(block);
    }
}
