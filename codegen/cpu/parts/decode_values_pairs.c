/* Rounds the weights to bfloat16. An odd last key goes with itself: the weight after its own is zero. */
static void pair_weights(struct block *block) {
    for (int r = 0; r < ROWS; r++) {
        for (int i = 0; i < block->count; i += LANES) {
            const __m256i halves = (__m256i)_mm512_cvtneps_pbh(load(block->score[r] + i));
            _mm256_storeu_si256((__m256i *)(block->weight[r] + i), halves);
        }
    }
    block->value_row[block->count] = block->value_row[block->count - 1];
}

/* Adds the weighted values of the block to acc, in `vecs` vectors of columns from `column` on, two keys at a time. */
static inline __attribute__((always_inline)) void add_values(struct block *block, int column, const int vecs) {
    const __m512i lower = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
    const __m512i upper = _mm512_add_epi32(lower, _mm512_set1_epi32(8));
    vec sum[ROWS][COLUMN_VECS] = {0};
    for (int key = 0; key < block->count; key += 2) {
        const element *even = block->value_row[key] + column, *odd = block->value_row[key + 1] + column;
        __m512i part[COLUMN_VECS];
#pragma GCC unroll 16
        for (int v = 0; v < vecs; v += 2) {
            const int rest = HEAD_DIM - column - v * LANES;
            const __mmask32 columns = rest < 32 ? (1u << rest % 32) - 1 : 0xffffffff;
            const __m512i a = _mm512_maskz_loadu_epi16(columns, even + v * LANES);
            const __m512i b = _mm512_maskz_loadu_epi16(columns, odd + v * LANES);
            part[v] = _mm512_unpacklo_epi16(a, b);
            part[v + 1] = _mm512_unpackhi_epi16(a, b);
        }
        FETCH_VALUES
#pragma GCC unroll 16
        for (int r = 0; r < ROWS; r++) {
            int32_t pair;
            memcpy(&pair, block->weight[r] + key, sizeof pair);
            const __m512i weights = _mm512_set1_epi32(pair);
#pragma GCC unroll 16
            for (int v = 0; v < vecs; v++) {
                sum[r][v] = _mm512_dpbf16_ps(sum[r][v], (__m512bh)part[v], (__m512bh)weights);
            }
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < ROWS; r++) {
        const vec rescale = splat(block->rescale[r]);
#pragma GCC unroll 16
        for (int v = 0; v < vecs; v += 2) {
            /* Groups of four columns went to the two sums in turn. */
            float *acc = block->acc[r] + column + v * LANES;
            store(acc, load(acc) * rescale + _mm512_permutex2var_ps(sum[r][v], lower, sum[r][v + 1]));
            acc += LANES;
            store(acc, load(acc) * rescale + _mm512_permutex2var_ps(sum[r][v], upper, sum[r][v + 1]));
        }
    }
}
