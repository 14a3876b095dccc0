/* Adds the weighted values of the block to `rows` rows of acc, in `vecs` vectors of columns from `column` on. */
static inline __attribute__((always_inline)) void add_values(struct block *block, int first_row, const int rows,
                                                             int column, const int vecs) {
    vec sum[ROWS][COLUMN_VECS] = {0};
    for (int key = 0; key < block->count; key++) {
        const float *value = block->value_row[key] + column;
        const float *weight = block->score[first_row / STRIP][key] + first_row % STRIP;
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++) {
            const vec one = splat(weight[r]);
#pragma GCC unroll 16
            for (int v = 0; v < vecs; v++) {
                sum[r][v] += one * load(value + v * LANES);
            }
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++) {
        const vec rescale = splat(block->rescale[first_row + r]);
#pragma GCC unroll 16
        for (int v = 0; v < vecs; v++) {
            float *acc = block->acc[first_row + r] + column + v * LANES;
            store(acc, load(acc) * rescale + sum[r][v]);
        }
    }
}
