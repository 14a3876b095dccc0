/* Transposes the query rows of the block, so that one vector holds LANES queries; missing rows are zero. A negative
   scale becomes a positive one by changing the sign of the queries. */
static void load_queries(struct block *block, const element *from, int64_t stride) {
    const vec sign = splat(block->call->scale < 0 ? -1.0f : 1.0f);
    for (int lane = 0; lane < BLOCK_M; lane += LANES) {
        for (int d = 0; d < HEAD_DIM; d += LANES) {
            const int at = d + LANES <= HEAD_DIM ? d : HEAD_DIM - LANES;
            __m512i row[16] = {0};
            for (int i = 0; i < 16 && lane + i < block->rows; i++) {
                row[i] = (__m512i)(load_elements(from + (lane + i) * stride + at) * sign);
            }
            transpose(row);
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++) {
                store(block->query[at + i] + lane, (vec)row[i]);
            }
        }
    }
}
