/* The exponent of 2 that a new maximum must be above the old one to be taken. */
#define SURPASSED 8.0f

/* Turns the scores of the block into weights, 32 keys of 16 queries at a time: row_max, row_sum and rescale follow the
   running softmax; the weights come out as bfloat16, one row of 32 keys for each query. A maximum that is
   not far above the old one leaves row_max and acc as they are: weights above 1 are no less exact. */
static void weigh_scores(struct block *block) {
    const vec factor = splat(block->factor);
    for (int lane = 0; lane < block->height; lane += LANES) {
        const float (*score)[16] = block->score[lane / 16];
        const vec before = load(block->row_max + lane);
        vec row_max = before, other_max = before;
        for (int key = 0; key < block->count; key += 2) {
            row_max = larger(row_max, load(score[key]));
            other_max = larger(other_max, load(score[key + 1]));
        }
        row_max = larger(row_max, other_max);
        const __mmask16 surpassed = _mm512_cmp_ps_mask((row_max - before) * factor, splat(SURPASSED), _CMP_NLE_UQ);
        row_max = _mm512_mask_mov_ps(before, surpassed, row_max);
        const vec shift = row_max * factor;
        const vec rescale = exp2_lanes((before - row_max) * factor);
        vec row_sum = splat(0.0f), other_sum = splat(0.0f);
        for (int key = 0; key < block->count; key += 32) {
            __m512i weight[16];
#pragma GCC unroll 16
            for (int i = 0; i < 16; i++) {
                const vec even = exp2_lanes(load(score[key + 2 * i]) * factor - shift);
                const vec odd = exp2_lanes(load(score[key + 2 * i + 1]) * factor - shift);
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
        store(block->row_max + lane, row_max);
        store(block->row_sum + lane, load(block->row_sum + lane) * rescale + (row_sum + other_sum));
        store(block->rescale + lane, rescale);
    }
}
