/* Products of one key with all query rows. */
static inline void score_key(struct block *block, int at, const element *key) {
    vec sum[ROWS] = {0};
#pragma GCC unroll 16
    for (int d = 0; d < HEAD_DIM / LANES * LANES; d += LANES) {
        const vec part = load_elements(key + d);
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; r++) {
            sum[r] += part * load(block->query[r] + d);
        }
    }
    LAST_PART
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; r++) {
        block->score[r][at] = sum_lanes(sum[r]);
    }
}
