/* Turns the scores of the block into weights, each by its own score alone; row_sum follows. */
static void weigh_scores(struct block *block) {
    const vec factor = splat(block->factor);
    for (int lane = 0; lane < BLOCK_M; lane += STRIP) {
        float (*score)[STRIP] = block->score[lane / STRIP];
        vec row_sum[QUERY_VECS] = {0};
        for (int key = 0; key < block->count; key++) {
#pragma GCC unroll 4
            for (int v = 0; v < QUERY_VECS; v++) {
                const vec weight = WEIGHT(load(score[key] + v * LANES) * factor);
                row_sum[v] += weight;
                store(score[key] + v * LANES, weight);
            }
        }
#pragma GCC unroll 4
        for (int v = 0; v < QUERY_VECS; v++) {
            float *sum = block->row_sum + lane + v * LANES;
            store(sum, load(sum) + row_sum[v]);
        }
    }
}
