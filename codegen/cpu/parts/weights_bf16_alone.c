/* Turns the scores of the block into weights, each by its own score alone, as bfloat16 pairs of keys; row_sum follows.
   The block has an even number of keys. */
static void weigh_scores(struct block *block) {
    const vec factor = splat(block->factor);
    for (int lane = 0; lane < BLOCK_M; lane += QUERY_VECS * LANES) {
        vec row_sum[QUERY_VECS] = {0};
        for (int key = 0; key < block->count; key += 2) {
            for (int v = 0; v < QUERY_VECS; v++) {
                const int column = lane + v * LANES;
                const vec even = WEIGHT(load(block->score[key] + column) * factor);
                const vec odd = WEIGHT(load(block->score[key + 1] + column) * factor);
                row_sum[v] += even + odd;
                _mm512_store_si512(block->weight[key / 2] + column, pair(even, odd));
            }
        }
        for (int v = 0; v < QUERY_VECS; v++) {
            float *sum = block->row_sum + lane + v * LANES;
            store(sum, load(sum) + row_sum[v]);
        }
    }
}
