/* Turns the scores of the block into weights: row_max, row_sum and rescale follow the running softmax. */
static void weigh_scores(struct block *block) {
    const vec factor = splat(block->factor);
    for (int r = 0; r < ROWS; r++) {
        for (int i = block->count; i % LANES != 0; i++) {
            block->score[r][i] = MASKED;
        }
        const float before = block->row_max[r];
        vec peak = splat(before);
        for (int i = 0; i < block->count; i += LANES) {
            peak = larger(peak, load(block->score[r] + i));
        }
        const float row_max = max_lanes(peak);
        const vec shift = splat(row_max) * factor;
        vec sum = splat(0.0f);
        for (int i = 0; i < block->count; i += LANES) {
            const vec weight = exp2_lanes(load(block->score[r] + i) * factor - shift);
            sum += weight;
            store(block->score[r] + i, weight);
        }
        const vec rescale = exp2_lanes(splat(before - row_max) * factor);
        block->rescale[r] = rescale[0];
        block->row_sum[r] = block->row_sum[r] * rescale[0] + sum_lanes(sum);
        block->row_max[r] = row_max;
    }
}
