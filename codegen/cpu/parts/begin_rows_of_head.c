static void begin_rows(struct block *block) {
    float row_max, row_sum;
    begin_row(block->call, block->head, block->factor, &row_max, &row_sum);
    memset(block->acc, 0, sizeof block->acc);
    for (int row = 0; row < BLOCK_M; row += LANES) {
        store(block->row_max + row, splat(row_max));
        store(block->row_sum + row, splat(row_sum));
    }
}
