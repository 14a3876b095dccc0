/* Transposes 16 rows of 16 words. */
static inline __attribute__((always_inline)) void transpose(__m512i row[16]) {
    __m512i half[16];
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) {
        half[i] = _mm512_unpacklo_epi32(row[i], row[i + 1]);
        half[i + 1] = _mm512_unpackhi_epi32(row[i], row[i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {
        row[i] = _mm512_unpacklo_epi64(half[i], half[i + 2]);
        row[i + 1] = _mm512_unpackhi_epi64(half[i], half[i + 2]);
        row[i + 2] = _mm512_unpacklo_epi64(half[i + 1], half[i + 3]);
        row[i + 3] = _mm512_unpackhi_epi64(half[i + 1], half[i + 3]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        half[i] = _mm512_shuffle_i32x4(row[i], row[i + 4], 0x88);
        half[i + 4] = _mm512_shuffle_i32x4(row[i], row[i + 4], 0xdd);
        half[i + 8] = _mm512_shuffle_i32x4(row[i + 8], row[i + 12], 0x88);
        half[i + 12] = _mm512_shuffle_i32x4(row[i + 8], row[i + 12], 0xdd);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        row[i] = _mm512_shuffle_i32x4(half[i], half[i + 8], 0x88);
        row[i + 4] = _mm512_shuffle_i32x4(half[i + 4], half[i + 12], 0x88);
        row[i + 8] = _mm512_shuffle_i32x4(half[i], half[i + 8], 0xdd);
        row[i + 12] = _mm512_shuffle_i32x4(half[i + 4], half[i + 12], 0xdd);
    }
}
