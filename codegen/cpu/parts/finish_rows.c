/* Divides acc by row_sum and writes out and lse; a row that met no key gives 0 and -infinity. */
static void finish_rows(struct block *block, element *out, float *lse) {
    for (int row = 0; row < block->rows; row++) {
        const float sum = block->row_sum[row];
        ORDER
        const vec share = splat(sum == 0.0f ? 0.0f : 1.0f / sum);
        for (int d = 0; d < HEAD_DIM; d += LANES) {
            const int at = d + LANES <= HEAD_DIM ? d : HEAD_DIM - LANES;
            store_elements(out + row * HEAD_DIM + at, load(block->acc[row] + at) * share);
        }
        lse[row] = sum == 0.0f ? -INFINITY : (block->row_max[row] * block->factor + log2f(sum)) * LN_2;
    }
}
