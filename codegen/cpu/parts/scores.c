/* Products of KEYS keys with all queries, into KEYS rows of block->score. `last` is the last key that exists; the rows
   after it repeat it, and are overwritten or never read. What is read next is fetched line by line meanwhile, since
   many lines at once would keep the keys waiting. */
static inline void score_keys(struct block *block, int at, int last RUN_PARAMETERS) {
    enum { LINE = 64 / sizeof(element) };
    const float *row[KEYS];
    const element *value[KEYS];
    DECLARE_NEXT
    for (int k = 0; k < KEYS; k++) {
        const int64_t position = POSITION;
        const element *key = block->key + position * block->key_stride;
        row[k] = KEY_ROW;
        value[k] = block->value + position * block->value_stride;
        NEXT_KEY
    }
    for (int strip = 0; strip < BLOCK_M / STRIP; strip++) {
        vec sum[KEYS][QUERY_VECS] = {0};
        for (int line = 0; line < HEAD_DIM; line += LINE) {
            for (int k = 0; k < KEYS; k++) {
                FETCH_KEY
                __builtin_prefetch(value[k] + line, 0, 2);
            }
            for (int d = line; d < HEAD_DIM && d < line + LINE; d++) {
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
