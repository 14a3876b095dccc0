/* The last columns come with some that have been multiplied; the query there is zero. */
const vec part = load_elements(key + HEAD_DIM - LANES);
#pragma GCC unroll 16
for (int r = 0; r < ROWS; r++) {
    sum[r] += part * load(block->query[r] + PADDED_DIM - LANES);
}
