/* Scores of KEYS keys, scaled and masked, into KEYS rows of block->score. `last` is the last of them that exists; the
   rows after it repeat it and are overwritten or never read. */
static inline __attribute__((always_inline)) void score_keys(struct block *block, int at, int last, int64_t first,
                                                              int64_t step, const enum mask mask) {
    const float *row[KEYS];
    for (int k = 0; k < KEYS; k++) {
        const int64_t position = first + (k < last ? k : last) * step;
        row[k] = key_row(block, block->key + position * block->key_stride, k);
    }
    for (int lane = 0; lane < BLOCK_M; lane += QUERY_VECS * LANES) {
        vec sum[KEYS][QUERY_VECS] = {0};
        for (int d = 0; d < HEAD_DIM; d++) {
            const float *query = block->query[d] + lane;
#pragma GCC unroll 16
            for (int k = 0; k < KEYS; k++) {
                const vec key = splat(row[k][d]);
#pragma GCC unroll 4
                for (int v = 0; v < QUERY_VECS; v++) {
                    sum[k][v] += key * load(query + v * LANES);
                }
            }
        }
#pragma GCC unroll 4
        for (int v = 0; v < QUERY_VECS; v++) {
            const int column = lane + v * LANES;
            vec peak = load(block->peak + column);
#pragma GCC unroll 16
            for (int k = 0; k < KEYS; k++) {
                const int64_t position = first + (k < last ? k : last) * step;
                const vec score = finish(block, sum[k][v], column, position, mask);
                peak = larger(peak, score);
                store(block->score[at + k] + column, score);
            }
            store(block->peak + column, peak);
        }
    }
}
