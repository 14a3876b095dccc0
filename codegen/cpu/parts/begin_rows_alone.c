/* Weights do not depend on the largest score of a row, so row_max stays 0 and nothing is rescaled. */
static void begin_rows(struct block *block) {
    memset(block->acc, 0, sizeof block->acc);
    for (int row = 0; row < BLOCK_M; row += LANES) {
        store(block->row_max + row, splat(0.0f));
        store(block->row_sum + row, splat(0.0f));
        store(block->rescale + row, splat(1.0f));
    }
}
