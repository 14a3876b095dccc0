/* Turns the scores of the block into weights: row_max, row_sum and rescale follow the running softmax. */
static void weigh_scores(struct block *block) {
    const vec factor = splat(block->factor);
    for (int lane = 0; lane < BLOCK_M; lane += STRIP) {
        float (*score)[STRIP] = block->score[lane / STRIP];
        vec row_max[QUERY_VECS], shift[QUERY_VECS], row_sum[QUERY_VECS];
#pragma GCC unroll 4
        for (int v = 0; v < QUERY_VECS; v++) {
            row_max[v] = load(block->row_max + lane + v * LANES);
        }
        for (int key = 0; key < block->count; key++) {
#pragma GCC unroll 4
            for (int v = 0; v < QUERY_VECS; v++) {
                row_max[v] = larger(row_max[v], load(score[key] + v * LANES));
            }
        }
#pragma GCC unroll 4
        for (int v = 0; v < QUERY_VECS; v++) {
            const int column = lane + v * LANES;
            shift[v] = row_max[v] * factor;
            row_sum[v] = splat(0.0f);
            store(block->rescale + column, exp2_lanes((load(block->row_max + column) - row_max[v]) * factor));
            store(block->row_max + column, row_max[v]);
        }
        for (int key = 0; key < block->count; key++) {
#pragma GCC unroll 4
            for (int v = 0; v < QUERY_VECS; v++) {
                const vec weight = exp2_lanes(load(score[key] + v * LANES) * factor - shift[v]);
                row_sum[v] += weight;
                store(score[key] + v * LANES, weight);
            }
        }
#pragma GCC unroll 4
        for (int v = 0; v < QUERY_VECS; v++) {
            const int column = lane + v * LANES;
            row_sum[v] += load(block->row_sum + column) * load(block->rescale + column);
            store(block->row_sum + column, row_sum[v]);
        }
    }
}
