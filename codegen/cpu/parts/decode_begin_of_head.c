for (int r = 0; r < ROWS; r++) {
    block.row_max[r] = LOWEST;
    block.row_sum[r] = 0.0f;
    if (split == 0 && r < heads) {
        begin_row(call, head + r, block.factor, block.row_max + r, block.row_sum + r);
    }
}
