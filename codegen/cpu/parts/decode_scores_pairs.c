/* Products of KEYS keys with all query rows, into the columns of block->score from `at` on. */
static inline void score_keys(struct block *block, int at, const element *const key[KEYS]) {
    for (int first = 0; first < ROWS; first += ROWS_AT_ONCE) {
        vec sum[ROWS_AT_ONCE][KEYS] = {0};
#pragma GCC unroll 8
        for (int d = 0; d < HEAD_DIM; d += 32) {
            const __mmask32 columns = HEAD_DIM - d < 32 ? (1u << (HEAD_DIM - d) % 32) - 1 : 0xffffffff;
            __m512i part[KEYS];
#pragma GCC unroll 4
            for (int k = 0; k < KEYS; k++) {
                part[k] = _mm512_maskz_loadu_epi16(columns, key[k] + d);
            }
#pragma GCC unroll 4
            for (int r = 0; r < ROWS_AT_ONCE; r++) {
                const __m512i query = _mm512_load_si512(block->query[first + r] + d);
#pragma GCC unroll 4
                for (int k = 0; k < KEYS; k++) {
                    sum[r][k] = _mm512_dpbf16_ps(sum[r][k], (__m512bh)part[k], (__m512bh)query);
                }
            }
        }
#pragma GCC unroll 4
        for (int r = 0; r < ROWS_AT_ONCE; r++) {
            sum_four(block->score[first + r] + at, sum[r]);
        }
    }
}
