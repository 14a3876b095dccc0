/* Adds the weighted values of the block to acc, in `vecs` vectors of columns from `column` on; they lie `shift` columns
   further left in a row of values. */
static inline __attribute__((always_inline)) void add_values(struct block *block, int column, int shift,
                                                             const int vecs) {
    vec sum[ROWS][COLUMN_VECS] = {0};
    for (int key = 0; key < block->count; key++) {
        const element *value = block->value_row[key] + column - shift;
        vec part[COLUMN_VECS];
#pragma GCC unroll 16
        for (int v = 0; v < vecs; v++) {
            part[v] = load_elements(value + v * LANES);
        }
        FETCH_VALUES
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; r++) {
            const vec weight = splat(block->score[r][key]);
#pragma GCC unroll 16
            for (int v = 0; v < vecs; v++) {
                sum[r][v] += weight * part[v];
            }
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; r++) {
        const vec rescale = splat(block->rescale[r]);
#pragma GCC unroll 16
        for (int v = 0; v < vecs; v++) {
            float *acc = block->acc[r] + column + v * LANES;
            store(acc, load(acc) * rescale + sum[r][v]);
        }
    }
}
