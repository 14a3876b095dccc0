/* Transposes the query rows of the block, so that one vector holds LANES queries; missing rows are zero. A negative
   scale becomes a positive one by changing the sign of the queries. */
static void load_queries(struct block *block, const element *from, int64_t stride) {
    const vec sign = splat(block->call->scale < 0 ? -1.0f : 1.0f);
    for (int lane = 0; lane < BLOCK_M; lane += LANES) {
        for (int row = lane + LANES; row < lane + 2 * LANES && row < block->rows; row++) {
            for (int d = 0; d < HEAD_DIM; d += 64 / (int)sizeof(element)) {
                __builtin_prefetch(from + row * stride + d);
            }
        }
        for (int d = 0; d < HEAD_DIM; d += LANES) {
            const int at = d + LANES <= HEAD_DIM ? d : HEAD_DIM - LANES;
            REGISTER row[LANES] = {0};
            for (int i = 0; i < LANES && lane + i < block->rows; i++) {
                row[i] = (REGISTER)(load_elements(from + (lane + i) * stride + at) * sign);
            }
            transpose(row);
#pragma GCC unroll 16
            for (int i = 0; i < LANES; i++) {
                store(block->query[lane / STRIP][at + i] + lane % STRIP, (vec)row[i]);
            }
        }
    }
}
