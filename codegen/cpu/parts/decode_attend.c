/* What a split has found for one head: acc and row_sum relative to row_max. */
struct partial {
    float acc[PADDED_DIM];
    float row_max, row_sum;
};

LOAD_QUERIES
/* One task: one split of the keys that one query position sees, for `heads` heads that share a KV head. */
static void attend(const struct call *call, int64_t batch, int64_t head, int heads, int64_t row, int64_t split,
                   int64_t splits, struct partial *partial) {
    const int64_t kv_head = head / (call->q_heads / call->kv_heads);
    const element *query = call->query + batch * call->query_stride[0] + head * call->query_stride[1];
    struct block block;
    block.call = call;
    block.key = call->key + batch * call->key_stride[0] + kv_head * call->key_stride[1];
    block.value = call->value + batch * call->value_stride[0] + kv_head * call->value_stride[1];
    block.key_stride = call->key_stride[2];
    block.value_stride = call->value_stride[2];
    block.q = call->kv_len - call->q_len + row;
    block.head = head;
    block.batch = batch;
    OWN_ROWS
    FACTOR
    block.count = 0;
    SLOPES
    load_queries(&block, heads, query + row * call->query_stride[2]);
    memset(block.acc, 0, sizeof block.acc);
    BEGIN_ROWS

    block.from = block.to = block.seen = 0;
    if (splits > 1) {
        visit_keys(&block);
    }
    block.from = block.seen * split / splits;
    block.to = splits > 1 ? block.seen * (split + 1) / splits : INT64_MAX;
    block.seen = 0;
    visit_keys(&block);
    if (block.count > 0) {
        absorb(&block);
    }
    for (int r = 0; r < heads; r++) {
        memcpy(partial[r * splits].acc, block.acc[r], sizeof block.acc[r]);
        partial[r * splits].row_max = block.row_max[r] * block.factor;
        partial[r * splits].row_sum = block.row_sum[r];
    }
}

/* Joins the splits of one row; a row that met no key gives 0 and -infinity. */
static void join(const struct partial *partial, int64_t splits, element *out, float *lse) {
    float row_max = partial[0].row_max, row_sum = 0.0f;
    float acc[PADDED_DIM] = {0};
    for (int64_t split = 1; split < splits; split++) {
        row_max = fmaxf(row_max, partial[split].row_max);
    }
    for (int64_t split = 0; split < splits; split++) {
        const float weight = exp2f(partial[split].row_max - row_max);
        row_sum += partial[split].row_sum * weight;
        for (int d = 0; d < PADDED_DIM; d += LANES) {
            store(acc + d, load(acc + d) + load(partial[split].acc + d) * splat(weight));
        }
    }
    const vec share = splat(row_sum == 0.0f ? 0.0f : 1.0f / row_sum);
    LAST_OUT
    for (int d = 0; d < HEAD_DIM / LANES * LANES; d += LANES) {
        store_elements(out + d, load(acc + d) * share);
    }
    *lse = row_sum == 0.0f ? -INFINITY : (row_max + log2f(row_sum)) * LN_2;
}
