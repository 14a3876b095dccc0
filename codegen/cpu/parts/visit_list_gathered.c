/* Adds those of the keys first to end - 1 to the block that a row has, as units of `size` keys counted from `base`. */
OPENING
    const struct span span = between(row, size, greater(first, 0) - base, lesser(end, block->call->kv_len) - base);
    const int64_t keys = span.keys;
    BEGIN_RESTS
    WHOLE_UNITS
    BEGIN_RUN
    while (at < STOP) {
        const int room = BLOCK_N - block->count;
        int count = 0;
        for (; at < STOP && count < room; at++) {
            const int64_t number = span.skipped + at;
            const int64_t kv = base + (int64_t)span.entries[number / size] * size + number % size;
            block->position[block->count + count] = (int32_t)kv;
            COUNT_KEY
        }
        take(block, count MASK_ARGUMENT);
    }
}
