/* Products of KEYS keys with all queries, into KEYS rows of block->score. `last` is the last key that exists; the rows
   after it repeat it, and are overwritten or never read. Meanwhile what
   is read next is fetched. */
static inline void score_keys(struct block *block, int at, int last RUN_PARAMETERS) {
    const float *row[KEYS];
    for (int k = 0; k < KEYS; k++) {
        const int64_t position = POSITION;
        const element *key = block->key + position * block->key_stride;
        row[k] = KEY_ROW;
        for (int d = 0; d < HEAD_DIM; d += 64 / (int)sizeof(element)) {
            FETCH_KEY
            __builtin_prefetch(block->value + position * block->value_stride + d, 0, 2);
        }
    }
    for (int strip = 0; strip < BLOCK_M / STRIP; strip++) {
        vec sum[KEYS][QUERY_VECS] = {0};
        for (int d = 0; d < HEAD_DIM; d++) {
            const float *query = block->query[strip][d];
#pragma GCC unroll 16
            for (int k = 0; k < KEYS; k++) {
                const vec key = splat(row[k][d]);
#pragma GCC unroll 4
                for (int v = 0; v < QUERY_VECS; v++) {
                    sum[k][v] += key * load(query + v * LANES);
                }
            }
        }
#pragma GCC unroll 16
        for (int k = 0; k < KEYS; k++) {
#pragma GCC unroll 4
            for (int v = 0; v < QUERY_VECS; v++) {
                store(block->score[strip][at + k] + v * LANES, sum[k][v]);
            }
        }
    }
}
