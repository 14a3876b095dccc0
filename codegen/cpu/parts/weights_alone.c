/* Turns the scores of the block into weights, each by its own score alone; row_sum follows. */
static void weigh_scores(struct block *block) {
    const vec factor = splat(block->factor);
    for (int lane = 0; lane < BLOCK_M; lane += QUERY_VECS * LANES) {
        vec row_sum[QUERY_VECS] = {0};
        for (int key = 0; key < block->count; key++) {
            for (int v = 0; v < QUERY_VECS; v++) {
                float *score = block->score[key] + lane + v * LANES;
                const vec weight = WEIGHT(load(score) * factor);
                row_sum[v] += weight;
                store(score, weight);
            }
        }
        for (int v = 0; v < QUERY_VECS; v++) {
            float *sum = block->row_sum + lane + v * LANES;
            store(sum, load(sum) + row_sum[v]);
        }
    }
}
