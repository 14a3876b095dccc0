for (int r = 0; r < ROWS; r++) {
    block.row_max[r] = block.row_sum[r] = 0.0f;
    block.rescale[r] = 1.0f;
}
