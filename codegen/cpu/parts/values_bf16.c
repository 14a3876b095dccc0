/* Makes the number of keys even, with one that weighs nothing, and lays two rows of values at a time out as pairs. */
static void pair_values(struct block *block) {
    static const element zeros[HEAD_DIM];
    if (block->count % 2 != 0) {
        for (int lane = 0; lane < BLOCK_M; lane += LANES) {
            store(block->score[block->count] + lane, splat(MASKED));
        }
        block->value_row[block->count++] = zeros;
    }
    for (int key = 0; key < block->count; key += 2) {
        const element *even = block->value_row[key], *odd = block->value_row[key + 1];
        for (int d = 0; d < HEAD_DIM; d += 32) {
            const __mmask32 columns = HEAD_DIM - d < 32 ? (1u << (HEAD_DIM - d) % 32) - 1 : 0xffffffff;
            interleave(block->value_pair[key / 2] + d, even + d, odd + d, columns);
        }
    }
}

/* Adds the weighted values of the block to `rows` rows of acc, in `vecs` vectors of columns from `column` on. */
static inline __attribute__((always_inline)) void add_values(struct block *block, int first_row, const int rows,
                                                             int column, const int vecs) {
    __m512 sum[ROWS][COLUMN_VECS] = {0};
    for (int key = 0; key < block->count; key += 2) {
        const uint32_t *value = block->value_pair[key / 2] + column;
        const uint32_t *weight = block->weight[key / 2] + first_row;
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++) {
            const __m512i one = _mm512_set1_epi32((int32_t)weight[r]);
#pragma GCC unroll 16
            for (int v = 0; v < vecs; v++) {
                const __m512i values = _mm512_load_si512(value + v * LANES);
                sum[r][v] = _mm512_dpbf16_ps(sum[r][v], (__m512bh)values, (__m512bh)one);
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
