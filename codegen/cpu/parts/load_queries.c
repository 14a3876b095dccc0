/* Transposes the query rows of the block, so that one vector holds LANES queries; missing rows are zero. A
   negative scale becomes a positive one by changing the sign of the queries. */
static void load_queries(struct block *block, const element *from, int64_t stride) {
    const vec sign = splat(block->call->scale < 0 ? -1.0f : 1.0f);
    for (int row = 0; row < BLOCK_M; row++) {
        float wide[HEAD_DIM] = {0};
        if (row < block->rows) {
            for (int d = 0; d < HEAD_DIM; d += LANES) {
                const int at = d + LANES <= HEAD_DIM ? d : HEAD_DIM - LANES;
                store(wide + at, load_elements(from + row * stride + at) * sign);
            }
        }
        for (int d = 0; d < HEAD_DIM; d++) {
            block->query[row / STRIP][d][row % STRIP] = wide[d];
        }
    }
}
