/* Transposes the query rows of the block in pairs of columns, so that one vector holds LANES queries; missing rows and
   columns are zero. A negative scale becomes a positive one by changing the sign of the queries. */
static void load_queries(struct block *block, const element *from, int64_t stride) {
    const __m512i flip = _mm512_set1_epi32(block->call->scale < 0 ? (int)0x80008000 : 0);
    for (int lane = 0; lane < BLOCK_M; lane += LANES) {
        for (int d = 0; d < HEAD_DIM; d += 32) {
            const __mmask32 columns = HEAD_DIM - d < 32 ? (1u << (HEAD_DIM - d) % 32) - 1 : 0xffffffff;
            __m512i row[16];
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++) {
                const __mmask32 present = lane + i < block->rows ? columns : 0;
                row[i] = _mm512_xor_si512(_mm512_maskz_loadu_epi16(present, from + (lane + i) * stride + d), flip);
            }
            transpose(row);
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++) {
                _mm512_store_si512(block->query[d / 2 + i] + lane, row[i]);
            }
        }
    }
}
