/* Transposes 8 rows of 8 words. */
static inline __attribute__((always_inline)) void transpose(__m256i row[8]) {
    __m256i half[8];
#pragma GCC unroll 4
    for (int i = 0; i < 8; i += 2) {
        half[i] = _mm256_unpacklo_epi32(row[i], row[i + 1]);
        half[i + 1] = _mm256_unpackhi_epi32(row[i], row[i + 1]);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 8; i += 4) {
        row[i] = _mm256_unpacklo_epi64(half[i], half[i + 2]);
        row[i + 1] = _mm256_unpackhi_epi64(half[i], half[i + 2]);
        row[i + 2] = _mm256_unpacklo_epi64(half[i + 1], half[i + 3]);
        row[i + 3] = _mm256_unpackhi_epi64(half[i + 1], half[i + 3]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        half[i] = _mm256_permute2x128_si256(row[i], row[i + 4], 0x20);
        half[i + 4] = _mm256_permute2x128_si256(row[i], row[i + 4], 0x31);
    }
    memcpy(row, half, sizeof half);
}
