/* Query tiles are tasks, head by head, so that keys and values stay in the cache; in each head those with the most
   keys, the last ones, begin. Returns 0. */
int ENTRY(const struct call *call) {
    const int64_t first = floor_div(call->kv_len - call->q_len, BLOCK_M);
    const int64_t tiles = floor_div(call->kv_len - 1, BLOCK_M) - first + 1;
    const int64_t heads = call->batch * call->q_heads;
    const int64_t tasks = tiles * heads;
    const int parallel = call->threads > 1 && call->q_len * call->kv_len * heads > PARALLEL_SCORES;
#pragma omp parallel for schedule(dynamic, 1) num_threads((int)call->threads) if (parallel)
    for (int64_t task = 0; task < tasks; task++) {
        const int64_t owner = task / tiles;
        attend(call, owner / call->q_heads, owner % call->q_heads, first + tiles - 1 - task % tiles);
    }
    return 0;
}
