/* Loads the query rows of `heads` heads, zero for those that do not exist. A negative scale becomes a positive one by
   changing the sign of the queries. */
static void load_queries(struct block *block, int heads, const element *from) {
    const element sign = block->call->scale < 0 ? 0x8000 : 0;
    memset(block->query, 0, sizeof block->query);
    for (int r = 0; r < heads; r++) {
        const element *row = from + r * block->call->query_stride[1];
        for (int d = 0; d < HEAD_DIM; d++) {
            block->query[r][d] = row[d] ^ sign;
        }
    }
}
