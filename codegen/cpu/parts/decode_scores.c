/* Products of KEYS keys with all query rows, into the columns of block->score from `at` on. */
static inline void score_keys(struct block *block, int at, const element *const key[KEYS]) {
    for (int first = 0; first < ROWS; first += ROWS_AT_ONCE) {
        vec sum[ROWS_AT_ONCE][KEYS] = {0};
#pragma GCC unroll 16
        for (int d = 0; d < HEAD_DIM / LANES * LANES; d += LANES) {
            vec part[KEYS];
#pragma GCC unroll 4
            for (int k = 0; k < KEYS; k++) {
                part[k] = load_elements(key[k] + d);
            }
#pragma GCC unroll 4
            for (int r = 0; r < ROWS_AT_ONCE; r++) {
                const vec query = load(block->query[first + r] + d);
#pragma GCC unroll 4
                for (int k = 0; k < KEYS; k++) {
                    sum[r][k] += part[k] * query;
                }
            }
        }
        LAST_PART
#pragma GCC unroll 4
        for (int r = 0; r < ROWS_AT_ONCE; r++) {
            sum_four(block->score[first + r] + at, sum[r]);
        }
    }
}
