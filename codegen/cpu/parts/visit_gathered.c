/* Adds the keys first, first + step, ... below end to the block. */
OPENING
    const int64_t keys = first < end ? (end - first + step - 1) / step : 0;
    WHOLE_UNITS
    BEGIN_RUN
    while (at < STOP) {
        const int count = (int)lesser(STOP - at, BLOCK_N - block->count);
        for (int i = 0; i < count; i++) {
            block->position[block->count + i] = (int32_t)(first + (at + i) * step);
        }
        take(block, count MASK_ARGUMENT);
        at += count;
    }
}
