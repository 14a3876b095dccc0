/* Two float32 vectors as one vector of bfloat16 pairs, `even` in the lower halves; rounds to nearest. */
static inline __m512i pair(vec even, vec odd) {
    const __m512i half = _mm512_set1_epi32(0x8000);
    const __m512i lower = _mm512_srli_epi32(_mm512_add_epi32((__m512i)even, half), 16);
    const __m512i upper = _mm512_add_epi32((__m512i)odd, half);
    return _mm512_ternarylogic_epi32(lower, upper, _mm512_set1_epi32((int)0xffff0000), 0xf8);
}

/* Writes 32 columns of two rows as pairs, zero where a column does not exist; columns come out of order, in fours: the
   first of every eight, then the last. */
static inline void interleave(uint32_t *to, const element *even, const element *odd, __mmask32 columns) {
    const __m512i a = _mm512_maskz_loadu_epi16(columns, even), b = _mm512_maskz_loadu_epi16(columns, odd);
    _mm512_storeu_si512(to, _mm512_unpacklo_epi16(a, b));
    _mm512_storeu_si512(to + 16, _mm512_unpackhi_epi16(a, b));
}

/* Brings the columns that `interleave` left out of order back into order. */
static inline void order_columns(float *row) {
    const __m512i first = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
    const __m512i last = _mm512_add_epi32(first, _mm512_set1_epi32(8));
    for (int d = 0; d < PADDED_DIM; d += 32) {
        const vec a = load(row + d), b = load(row + d + 16);
        store(row + d, _mm512_permutex2var_ps(a, first, b));
        store(row + d + 16, _mm512_permutex2var_ps(a, last, b));
    }
}
