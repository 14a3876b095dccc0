for (int r = 0; r < ROWS; r++) {
    block.row_max[r] = LOWEST;
    block.row_sum[r] = 0.0f;
}
