/* Turns the scores of the block into weights, each by its own score alone; row_sum follows. */
static void weigh_scores(struct block *block) {
    const vec factor = splat(block->factor);
    for (int r = 0; r < ROWS; r++) {
        vec sum = splat(0.0f);
        for (int i = block->count; i % LANES != 0; i++) {
            block->score[r][i] = MASKED;
        }
        for (int i = 0; i < block->count; i += LANES) {
            const vec weight = WEIGHT(load(block->score[r] + i) * factor);
            sum += weight;
            store(block->score[r] + i, weight);
        }
        block->row_sum[r] += sum_lanes(sum);
    }
}
