/* Products of KEYS keys with all queries, into KEYS rows of block->score. `last` is the last key that exists; the rows
   after it repeat it, and are overwritten or never read. */
static inline void score_keys(struct block *block, int at, int last RUN_PARAMETERS) {
    const element *row[KEYS];
    for (int k = 0; k < KEYS; k++) {
        const int64_t position = POSITION;
        row[k] = block->key + position * block->key_stride;
    }
    for (int lane = 0; lane < BLOCK_M; lane += QUERY_VECS * LANES) {
        __m512 sum[KEYS][QUERY_VECS] = {0};
        for (int d = 0; d < HEAD_DIM; d += 2) {
            const uint32_t *query = block->query[d / 2] + lane;
#pragma GCC unroll 16
            for (int k = 0; k < KEYS; k++) {
                int32_t columns;
                memcpy(&columns, row[k] + d, sizeof columns);
                const __m512i key = _mm512_set1_epi32(columns);
#pragma GCC unroll 4
                for (int v = 0; v < QUERY_VECS; v++) {
                    const __m512i queries = _mm512_load_si512(query + v * LANES);
                    sum[k][v] = _mm512_dpbf16_ps(sum[k][v], (__m512bh)queries, (__m512bh)key);
                }
            }
        }
#pragma GCC unroll 16
        for (int k = 0; k < KEYS; k++) {
#pragma GCC unroll 4
            for (int v = 0; v < QUERY_VECS; v++) {
                store(block->score[at + k] + lane + v * LANES, sum[k][v]);
            }
        }
    }
}
