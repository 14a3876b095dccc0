static void begin_rows(struct block *block) {
    memset(block->acc, 0, sizeof block->acc);
    for (int row = 0; row < BLOCK_M; row += LANES) {
        store(block->row_max + row, splat(LOWEST));
        store(block->row_sum + row, splat(0.0f));
    }
}
