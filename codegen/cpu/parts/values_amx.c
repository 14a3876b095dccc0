/* Rounds the block up to whole groups of 32 keys, with scores that weigh nothing and values of zero. */
static void complete(struct block *block) {
    static const element zeros[HEAD_DIM];
    for (; block->count % 32 != 0; block->count++) {
        for (int lane = 0; lane < BLOCK_M; lane += LANES) {
            store(block->score[lane / 16][block->count], splat(MASKED));
        }
        block->value_row[block->count] = zeros;
    }
}

/* Two rows of values at a time, as the pairs that the products with pairs of weights need. */
static void pair_values(struct block *block) {
    for (int key = 0; key < block->count; key += 2) {
        const element *even = block->value_row[key], *odd = block->value_row[key + 1];
        for (int d = 0; d < HEAD_DIM; d += 32) {
            const __mmask32 columns = HEAD_DIM - d < 32 ? (1u << (HEAD_DIM - d) % 32) - 1 : 0xffffffff;
            interleave(block->value_pair[d / 32][key / 2], even + d, odd + d, columns);
        }
    }
}

/* Multiplies acc by rescale, passing over groups of rows whose rescale is 1. */
static void rescale_rows(struct block *block) {
    for (int lane = 0; lane < block->height; lane += LANES) {
        if (_mm512_cmpneq_ps_mask(load(block->rescale + lane), splat(1.0f)) == 0) {
            continue;
        }
        for (int row = lane; row < lane + LANES; row++) {
            const vec rescale = splat(block->rescale[row]);
            for (int d = 0; d < PADDED_DIM; d += LANES) {
                store(block->acc[row] + d, load(block->acc[row] + d) * rescale);
            }
        }
    }
}

/* Adds weights times values to acc: 2 x 2 tiles of 16 queries and 16 columns. */
static void add_values(struct block *block) {
    for (int d = 0; d < PADDED_DIM; d += 32) {
        for (int row = 0; row < block->height; row += 32) {
            LOAD_TILE(0, block->acc[row] + d, sizeof block->acc[0]);
            LOAD_TILE(1, block->acc[row] + d + 16, sizeof block->acc[0]);
            LOAD_TILE(2, block->acc[row + 16] + d, sizeof block->acc[0]);
            LOAD_TILE(3, block->acc[row + 16] + d + 16, sizeof block->acc[0]);
            for (int key = 0; key < block->count; key += 32) {
                LOAD_TILE(4, block->weight[row / 32][key / 32][0], 64);
                LOAD_TILE(6, block->value_pair[d / 32][key / 2], 128);
                _tile_dpbf16ps(0, 4, 6);
                LOAD_TILE(7, block->value_pair[d / 32][key / 2] + 16, 128);
                _tile_dpbf16ps(1, 4, 7);
                LOAD_TILE(5, block->weight[row / 32][key / 32][16], 64);
                _tile_dpbf16ps(2, 5, 6);
                _tile_dpbf16ps(3, 5, 7);
            }
            STORE_TILE(0, block->acc[row] + d, sizeof block->acc[0]);
            STORE_TILE(1, block->acc[row] + d + 16, sizeof block->acc[0]);
            STORE_TILE(2, block->acc[row + 16] + d, sizeof block->acc[0]);
            STORE_TILE(3, block->acc[row + 16] + d + 16, sizeof block->acc[0]);
        }
    }
}

/* Takes the keys of the block into acc and empties it. */
static void absorb(struct block *block) {
    REGROUP
    complete(block);
    weigh_scores(block);
    pair_values(block);
    rescale_rows(block);
    add_values(block);
    block->count = 0;
}
