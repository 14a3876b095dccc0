/* Turns the scores of the block into weights, as bfloat16 pairs of keys: row_max, row_sum and rescale follow the
   running softmax. The block has an even number of keys. */
static void weigh_scores(struct block *block) {
    const vec factor = splat(block->factor);
    for (int lane = 0; lane < BLOCK_M; lane += QUERY_VECS * LANES) {
        vec row_max[QUERY_VECS], shift[QUERY_VECS], row_sum[QUERY_VECS];
        for (int v = 0; v < QUERY_VECS; v++) {
            row_max[v] = load(block->row_max + lane + v * LANES);
        }
        for (int key = 0; key < block->count; key++) {
            for (int v = 0; v < QUERY_VECS; v++) {
                row_max[v] = larger(row_max[v], load(block->score[key] + lane + v * LANES));
            }
        }
        for (int v = 0; v < QUERY_VECS; v++) {
            const int column = lane + v * LANES;
            shift[v] = row_max[v] * factor;
            row_sum[v] = splat(0.0f);
            store(block->rescale + column, exp2_lanes((load(block->row_max + column) - row_max[v]) * factor));
            store(block->row_max + column, row_max[v]);
        }
        for (int key = 0; key < block->count; key += 2) {
            for (int v = 0; v < QUERY_VECS; v++) {
                const int column = lane + v * LANES;
                const vec even = exp2_lanes(load(block->score[key] + column) * factor - shift[v]);
                const vec odd = exp2_lanes(load(block->score[key + 1] + column) * factor - shift[v]);
                row_sum[v] += even + odd;
                _mm512_store_si512(block->weight[key / 2] + column, pair(even, odd));
            }
        }
        for (int v = 0; v < QUERY_VECS; v++) {
            const int column = lane + v * LANES;
            row_sum[v] += load(block->row_sum + column) * load(block->rescale + column);
            store(block->row_sum + column, row_sum[v]);
        }
    }
}
