/* The query rows of one position that share a KV head, ROWS at a time, and the block of keys they will take in. */
struct block {
    FIELDS
    float score[ROWS][BLOCK_N + LANES]; /* after weigh_scores: weights */
    float acc[ROWS][PADDED_DIM];
    float row_max[ROWS], row_sum[ROWS], rescale[ROWS];
    const element *value_row[BLOCK_N + KEYS];
    const element *key, *value;
    const struct call *call;
    int64_t key_stride, value_stride, q, head, batch;
    /* The split has the keys number `from` to `to` - 1 of those that the row sees. */
    int64_t from, to, seen;
    AHEAD_FIELD
    /* From score to exponent of 2. */
    float factor;
    int count;
};
