/* Turns the scores of the block into weights, each by its own score alone, 32 keys of 16 queries at a time; the weights
   come out as bfloat16, one row of 32 keys for each query, and row_sum follows. */
static void weigh_scores(struct block *block) {
    const vec factor = splat(block->factor);
    for (int lane = 0; lane < block->height; lane += LANES) {
        const float (*score)[16] = block->score[lane / 16];
        vec row_sum = splat(0.0f), other_sum = splat(0.0f);
        for (int key = 0; key < block->count; key += 32) {
            __m512i weight[16];
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++) {
                const vec even = WEIGHT(load(score[key + 2 * i]) * factor);
                const vec odd = WEIGHT(load(score[key + 2 * i + 1]) * factor);
                row_sum += even;
                other_sum += odd;
                weight[i] = pair(even, odd);
            }
            transpose(weight);
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++) {
                _mm512_store_si512(block->weight[lane / 32][key / 32][lane % 32 + i], weight[i]);
            }
        }
        store(block->row_sum + lane, load(block->row_sum + lane) + (row_sum + other_sum));
    }
}
