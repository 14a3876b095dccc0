/* Tasks are splits of the keys, for each position and some heads that share a KV head. Returns 1 if there is no
   memory, else 0. */
int ENTRY(const struct call *call) {
    SHARED_ROWS
    const int64_t group = call->q_heads / call->kv_heads, chunks = (group + TAKEN - 1) / TAKEN;
    const int64_t units = call->batch * call->kv_heads * chunks * call->q_len;
    const int64_t wanted = lesser((2 * call->threads + units - 1) / units, call->kv_len / SPLIT);
    const int64_t splits = call->threads > 1 ? greater(wanted, 1) : 1;
    /* Where keys are not split, every task joins its own, and memory does not grow with the rows. */
    const int64_t rows = splits > 1 ? call->batch * call->q_heads * call->q_len : 0;
    struct partial *partials = malloc((size_t)(rows * splits + 1) * sizeof *partials);
    if (partials == NULL) {
        return 1;
    }
    const int parallel = call->threads > 1 && units * call->kv_len > PARALLEL_SCORES;
#pragma omp parallel num_threads((int)call->threads) if (parallel)
    {
#pragma omp for schedule(dynamic, 1)
        for (int64_t task = 0; task < units * splits; task++) {
            const int64_t unit = task / splits, row = unit % call->q_len, owner = unit / call->q_len;
            const int64_t first = owner % chunks * TAKEN, kv_head = owner / chunks % call->kv_heads;
            const int64_t batch = owner / chunks / call->kv_heads, head = kv_head * group + first;
            const int heads = (int)lesser(TAKEN, group - first);
            if (splits > 1) {
                const int64_t place = ((batch * call->q_len + row) * call->q_heads + head) * splits + task % splits;
                attend(call, batch, head, heads, row, task % splits, splits, partials + place);
                continue;
            }
            struct partial own[ROWS];
            attend(call, batch, head, heads, row, 0, 1, own);
            for (int r = 0; r < heads; r++) {
                const int64_t place = (batch * call->q_heads + head + r) * call->q_len + row;
                join(own + r, 1, call->out + place * HEAD_DIM, call->lse + place);
            }
        }
#pragma omp for
        for (int64_t i = 0; i < rows; i++) {
            const int64_t head = i % call->q_heads, row = i / call->q_heads % call->q_len;
            const int64_t place = (i / call->q_heads / call->q_len * call->q_heads + head) * call->q_len + row;
            join(partials + i * splits, splits, call->out + place * HEAD_DIM, call->lse + place);
        }
    }
    free(partials);
    return 0;
}
