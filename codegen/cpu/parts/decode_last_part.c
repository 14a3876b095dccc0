/* The last columns come with some that have been multiplied; the query there is zero. */
#pragma GCC unroll 4
for (int k = 0; k < KEYS; k++) {
    const vec part = load_elements(key[k] + HEAD_DIM - LANES);
#pragma GCC unroll 4
    for (int r = 0; r < ROWS_AT_ONCE; r++) {
        sum[r][k] += part * load(block->query[first + r] + PADDED_DIM - LANES);
    }
}
